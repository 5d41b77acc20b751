from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import tool

Region = Annotated[str, Field(description="Where to run it.", json_schema_extra={"x-mcp-header": "Region"})]


@tool()
async def run_report(region: Region, name: str) -> str:
    """Run a report in a region."""
    return f"{name} in {region}"
