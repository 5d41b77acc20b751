"""The plugin of the playground tests: a tool with every kind of argument, and one with every kind of content.

The server process loads it; tests import only `MARKUP`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tests.conformance.fixture.media import PNG, WAV
from tfo_mcp.plugins import (
    Audio,
    BlobContents,
    EmbeddedResource,
    Image,
    ResourceLink,
    Text,
    TextContents,
    ToolHints,
    ToolResult,
    tool,
)

READ_ONLY = ToolHints(read_only=True, open_world=False)
MARKUP = "<img src=x onerror=alert(1)> & <b>bold</b>\nsecond line"


class Window(BaseModel):
    """A period of time."""

    start: Annotated[str, Field(min_length=1, description="First moment.")]
    minutes: Annotated[int, Field(ge=1, le=60)] = 5


class Label(BaseModel):
    """A name and its value."""

    name: str
    value: str


@tool(title="Query metrics", hints=READ_ONLY)
def query_metrics(
    metric: Annotated[str, Field(min_length=1, description="Name of the metric.")],
    window: Annotated[Window, Field(description="The time that is asked for.")],
    aggregate: Annotated[Literal["sum", "avg", "max"], Field(description="How points are put together.")] = "avg",
    services: Annotated[Sequence[str], Field(description="Only these services; all if there are none.")] = (),
    quantiles: Annotated[Sequence[float], Field(max_length=3)] = (0.5,),
    labels: Annotated[Sequence[Label], Field(description="Only series with these labels.")] = (),
    threshold: Annotated[float | None, Field(ge=0, le=1, description="Leave out what is below.")] = None,
    include_empty: Annotated[bool, Field(description="Whether series without points are listed, too.")] = False,
    baseline: Window | None = None,
) -> dict[str, Any]:
    """Return the arguments."""
    windows = {"window": window.model_dump(), "baseline": baseline and baseline.model_dump()}
    return {
        "metric": metric,
        "aggregate": aggregate,
        "services": list(services),
        "quantiles": list(quantiles),
        "labels": [label.model_dump() for label in labels],
        "threshold": threshold,
        "include_empty": include_empty,
        **windows,
    }


@tool(input_schema={"type": "object"}, hints=READ_ONLY)
def anything(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take any arguments and return them."""
    return arguments


@tool(hints=READ_ONLY)
def exhibit() -> list[Text | Image | Audio | EmbeddedResource | ResourceLink]:
    """Return every kind of content."""
    return [
        Text(MARKUP),
        PNG,
        WAV,
        EmbeddedResource(TextContents("note://text", "a note", "text/plain")),
        EmbeddedResource(BlobContents("note://blob", b"\x00\xff" * 8, "application/octet-stream")),
        ResourceLink("status://health", "health", title="The server's health", mime_type="application/json"),
    ]


@tool(hints=READ_ONLY)
def colourful() -> ToolResult:
    """Return what a command could print."""
    return ToolResult((Text("\x1b[31mred\x1b[0m\r\n10 %\r100 %\nexit code 0"),), {"exit_code": 0})


@tool(hints=READ_ONLY)
def big_blob() -> EmbeddedResource:
    """Return many bytes."""
    return EmbeddedResource(BlobContents("note://blob", bytes(3072), "application/octet-stream"))


@tool(hints=READ_ONLY)
def remind(at: datetime) -> str:
    """Return a moment."""
    return at.isoformat()
