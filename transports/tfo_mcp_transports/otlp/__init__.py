"""The OTLP receivers of the telemetry store, over HTTP and gRPC. They know the encoding of answers, not of records."""
