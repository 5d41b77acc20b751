"""TelemetryFlow MCP server: the application without transports and web frameworks."""
