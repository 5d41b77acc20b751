"""Telemetry: traces, metrics and logs for whoever operates the server, in OpenTelemetry's terms.

`instruments` counts and needs the standard library only; `spans` begins and ends spans; `exporting` brings both, and
log records, to an OTLP endpoint in the background; `exposition` shows the metrics to Prometheus; `observing` is the
adapter of the Telemetry port that uses them. Nothing here is imported unless it is configured.
"""
