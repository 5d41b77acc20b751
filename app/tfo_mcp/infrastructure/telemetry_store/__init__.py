"""The telemetry store: a DuckDB database in a process of its own, which all servers of one user share.

In the store process, `otlp_requests` decodes export requests and makes `rows` for the `tables`, `ingest` writes them,
`retention` deletes them, `queries` read them, and `service` answers servers by `protocol`; `process` owns all of it.
In a server, `client` implements the TelemetryStore port, `launcher` starts the process, and `own_exports` sends the
server's own telemetry; none of the three imports DuckDB or OpenTelemetry. `places` are the files that both know.
"""
