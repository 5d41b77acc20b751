"""Programs with OpenTelemetry's automatic instrumentation: a campaign of its own, since their packages have 200 MB."""
