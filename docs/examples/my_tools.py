# my_tools.py, next to tfo-mcp.yaml
from tfo_mcp.plugins import ToolHints, tool


@tool(hints=ToolHints(read_only=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
