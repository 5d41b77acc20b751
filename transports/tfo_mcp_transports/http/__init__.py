"""HTTP: the Streamable HTTP endpoint, what guards every route, and health."""
