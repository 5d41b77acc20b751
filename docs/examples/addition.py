from tfo_mcp.plugins import tool


@tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
