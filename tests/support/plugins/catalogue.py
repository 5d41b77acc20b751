"""Resources, templates and prompts to list, read, watch and complete, and tools that change what is listed."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tfo_mcp.plugins import (
    BlobContents,
    Context,
    EmbeddedResource,
    PromptMessage,
    TextContents,
    ToolError,
    ToolHints,
    assistant,
    prompt,
    resource,
    tool,
    user,
)

READ_ONLY = ToolHints(read_only=True)


def _note(number: int) -> Callable[[], str]:
    @resource(f"note://{number:02}", name=f"note_{number:02}", title=f"Note {number}", mime_type="text/plain")
    def note() -> str:
        """A note."""
        return f"note {number}"

    return note


for _number in range(1, 8):
    globals()[f"note_{_number:02}"] = _note(_number)


@resource("parts://all", mime_type="text/plain")
def parts() -> list[TextContents | BlobContents]:
    """Two texts and a blob."""
    return [
        TextContents("parts://1", "one", "text/plain"),
        TextContents("parts://2", "zwei äöü", "text/plain"),
        BlobContents("parts://3", bytes(range(256)), "application/octet-stream"),
    ]


@resource("broken://crash")
def broken() -> str:
    """A resource that cannot be read."""
    raise RuntimeError("secret-detail at /etc/secret-path")


@resource("broken://refused")
def refused() -> str:
    """A resource that fails with a `ToolError`."""
    raise ToolError("The store is closed on Sundays")


def _cities(value: str, arguments: Mapping[str, str]) -> Iterable[str]:
    cities = {"fr": ["Lyon", "Paris"], "de": ["Berlin", "Bonn"]}.get(arguments.get("country", ""), ["Anywhere"])
    return [city for city in cities if city.startswith(value)]


def _many(value: str, arguments: Mapping[str, str]) -> Iterable[str]:
    return [f"{value}{number:03}" for number in range(150)]


@resource("weather://{country}/{city}", mime_type="text/plain", complete={"city": _cities})
def weather(country: str, city: str) -> str:
    """The weather of a city."""
    return f"{country}|{city}"


@resource("first://{a}")
def first(a: str) -> str:
    """A template."""
    return a


@resource("second://{a}")
def second(a: str) -> str:
    """A template."""
    return a


@resource("third://{a}")
def third(a: str) -> str:
    """A template."""
    return a


@prompt(title="Travel", complete={"city": _cities, "country": _many})
def travel(country: str, city: str = "anywhere") -> list[PromptMessage]:
    """Ask for a travel plan."""
    note = EmbeddedResource(TextContents("note://01", "note 1", "text/plain"))
    return [user(f"Plan a journey to {city} in {country}."), user(note), assistant("When?")]


@prompt()
def crashing_prompt() -> str:
    """A prompt that cannot be rendered."""
    raise RuntimeError("secret-detail at /etc/secret-path")


@prompt()
def counted(count: int) -> str:
    """A prompt whose argument is a number, written as a string."""
    return f"Count to {count + 1}."


def _momentary(kind: str) -> Callable[..., Any]:
    if kind == "tool":

        @tool("momentary", hints=READ_ONLY)
        def momentary() -> str:
            """A temporary tool."""
            return "here"
    elif kind == "prompt":

        @prompt("momentary")
        def momentary() -> str:
            """A temporary prompt."""
            return "here"
    else:

        @resource("momentary://here")
        def momentary() -> str:
            """A temporary resource."""
            return "here"

    return momentary


@tool(hints=READ_ONLY)
async def appear(kind: str, ctx: Context) -> str:
    """Add a momentary tool, prompt or resource."""
    await ctx.register(_momentary(kind))
    return f"{kind} added"


@tool(hints=READ_ONLY)
async def vanish(kind: str, ctx: Context) -> str:
    """Remove the momentary tool, prompt or resource."""
    await ctx.unregister(_momentary(kind))
    return f"{kind} removed"


@tool(hints=READ_ONLY)
async def touch(uri: str, ctx: Context) -> str:
    """Notify clients that a resource has changed."""
    await ctx.resource_updated(uri)
    return f"{uri} touched"
