"""Telemetry: traces, metrics and logs of the server, by OpenTelemetry.

`instruments` records metrics with the standard library only; `spans` starts and encodes spans; `exporters` sends both,
and log records, to OTLP endpoints in the background; `destination` selects the endpoints; `prometheus` renders the
metrics; `adapter` implements the Telemetry port with them, `noop` without. `adapter`, `exporters` and `prometheus` are
imported only if they are configured.
"""
