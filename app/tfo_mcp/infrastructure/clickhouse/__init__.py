"""The telemetry store over a ClickHouse that other programs fill, or this server if it may write.

`schema` detects in which of three shapes a database holds telemetry, and gives each signal one of the `sources`, whose
columns are the same. `selections` translates filters into SQL above these sources, and `queries` ask a `view`: what one
caller may read. `tables` and `writer` create the exporter's tables and fill them. `connection` runs statements within
limits and stops them in the server when their call is cancelled; `store` implements the TelemetryStore port.
"""
