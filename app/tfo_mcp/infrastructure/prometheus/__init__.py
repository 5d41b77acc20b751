"""The HTTP API of Prometheus, which Mimir, Thanos and VictoriaMetrics have too, as a metric service."""
