from tfo_mcp.plugins import ToolError, tool


@tool()
async def divide(dividend: float, divisor: float) -> float:
    """Divide two numbers."""
    if divisor == 0:
        raise ToolError("divisor: must not be 0")
    return dividend / divisor
