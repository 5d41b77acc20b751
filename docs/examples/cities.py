from collections.abc import Iterable, Mapping

from tfo_mcp.plugins import PromptMessage, assistant, prompt, user

CITIES = {"fr": ["Lyon", "Paris"], "nl": ["Amsterdam", "Utrecht"]}


async def countries(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Suggest countries."""
    return [country for country in CITIES if country.startswith(typed)]


def cities(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Suggest cities of the country that was chosen before."""
    return [city for city in CITIES.get(others.get("country", ""), []) if city.startswith(typed)]


@prompt(title="Plan a trip", complete={"country": countries, "city": cities})
async def plan_trip(country: str, city: str = "the capital", days: int = 3) -> list[PromptMessage]:
    """Plan a trip."""
    return [user(f"Plan {days} days in {city} ({country})."), assistant("What do you like?")]
