"""TelemetryFlow MCP server: everything inside the process boundary, without any transport or web framework."""
