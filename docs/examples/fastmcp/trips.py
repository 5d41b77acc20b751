from dataclasses import dataclass
from typing import Literal

from fastmcp import Context, FastMCP

mcp = FastMCP("trips")


@dataclass
class Trip:
    """What the user is asked for."""

    destination: str
    days: int = 3
    travel: Literal["train", "plane"] = "train"


@mcp.tool
async def plan_trip(context: Context) -> str:
    """Ask where the trip goes, and say what is planned."""
    answer = await context.elicit("Where would you like to go?", Trip)
    if answer.action != "accept":
        return "No trip is planned."
    trip = answer.data
    return f"{trip.days} days in {trip.destination} by {trip.travel}"
