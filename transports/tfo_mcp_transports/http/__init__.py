"""HTTP endpoints: Streamable HTTP, HTTP+SSE, health, metrics and the playground."""
