from dataclasses import dataclass
from typing import Literal

from tfo_mcp.plugins import Context, Elicit, tool


@dataclass
class Trip:
    """What the user is asked for."""

    destination: str
    days: int = 3
    travel: Literal["train", "plane"] = "train"


@tool
async def plan_trip(context: Context) -> str:
    """Ask where the trip goes, and say what is planned."""
    answer = await context.ask(Elicit("Where would you like to go?", Trip))
    if answer.value is None:
        return "No trip is planned."
    trip: Trip = answer.value
    return f"{trip.days} days in {trip.destination} by {trip.travel}"
