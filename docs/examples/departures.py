import httpx

from tfo_mcp.plugins import ToolHints, tool


@tool(hints=ToolHints(read_only=True), cache=30)
async def departures(stop: str) -> list[str]:
    """Return the next departures at a stop, at most 30 seconds old."""
    async with httpx.AsyncClient(base_url="https://timetable.example.com", timeout=10) as client:
        answer = await client.get("/departures", params={"stop": stop})
    return [str(entry) for entry in answer.raise_for_status().json()]
