from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from tfo_mcp.plugins import tool


class Place(BaseModel):
    """A place of a forecast."""

    name: Annotated[str, Field(min_length=1, description="The town.")]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$", description="Two letters, such as NL.")]


@tool(title="Forecast")
async def forecast(
    place: Place,
    day: Annotated[date, Field(description="The day, such as 2030-01-31.")],
    unit: Literal["celsius", "fahrenheit"] = "celsius",
    hours: Annotated[list[int] | None, Field(description="Hours of the day; all when left out.")] = None,
) -> dict[str, float]:
    """Return the forecast of a day."""
    return {f"{hour}:00": 20.0 for hour in hours or range(24)}
