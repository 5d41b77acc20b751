"""Tools that return at once: every kind of content, structured results, failures, and various input schemas."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from tfo_mcp.plugins import (
    Annotations,
    Audio,
    BlobContents,
    EmbeddedResource,
    Icon,
    Image,
    MissingScope,
    ResourceLink,
    Text,
    TextContents,
    ToolError,
    ToolHints,
    tool,
)

READ_ONLY = ToolHints(read_only=True)
PIXEL = bytes.fromhex("89504e470d0a1a0a")
SILENCE = b"RIFF\x04\x00\x00\x00WAVE"


@tool(
    hints=READ_ONLY, title="Nothing at all", icons=[Icon("data:image/png;base64,iVBORw0KGgo=", "image/png", ("48x48",))]
)
def nothing() -> None:
    """Take no arguments and answer nothing."""


@tool(hints=READ_ONLY)
def mixed() -> list[Text | Image | Audio | EmbeddedResource | ResourceLink]:
    """Answer with every kind of content."""
    return [
        Text("plain", Annotations(audience=("user", "assistant"), priority=0.5, last_modified="2025-01-12T15:00:58Z")),
        Image(PIXEL, "image/png"),
        Audio(SILENCE, "audio/wav"),
        EmbeddedResource(TextContents("note://text", "a note", "text/plain")),
        EmbeddedResource(BlobContents("note://blob", b"\x00\xff", "application/octet-stream")),
        ResourceLink(
            "note://link", "link", title="A link", description="Leads to a note", mime_type="text/plain", size=6
        ),
    ]


@dataclass
class Point:
    """A place on a plane."""

    x: int
    y: int


class Named(TypedDict):
    """A name."""

    name: str


@tool(hints=READ_ONLY)
def point(x: int, y: int = 0) -> Point:
    """Answer with an object."""
    return Point(x, y)


@tool(hints=READ_ONLY)
def named(name: str) -> Named:
    """Answer with an object."""
    return {"name": name}


@tool(hints=READ_ONLY)
def numbers() -> list[int]:
    """Answer with a list."""
    return [1, 2, 3]


@tool(hints=READ_ONLY, output_schema={"type": "object", "required": ["right"]})
def wrong_shape() -> dict[str, str]:
    """Return a value that does not match the tool's output schema."""
    return {"wrong": "secret-value"}


@tool(hints=READ_ONLY, output_schema={"type": "object", "required": ["right"]})
def fails_with_a_schema() -> dict[str, str]:
    """Fail, although the tool has an output schema."""
    raise ToolError("There is no answer: try again tomorrow")


@tool(hints=READ_ONLY)
def fails() -> str:
    """Fail with a `ToolError`."""
    raise ToolError("This cannot work: choose another city")


@tool(hints=READ_ONLY)
def crashes() -> str:
    """Fail with an unexpected exception."""
    raise RuntimeError("secret-detail at /etc/secret-path")


@tool(hints=READ_ONLY)
async def crashes_async() -> str:
    """Fail with an unexpected exception, in the event loop."""
    raise KeyError("secret-detail at /etc/secret-path")


@tool("Case", hints=READ_ONLY)
def upper_case() -> str:
    """Differ from another tool by the case of its name."""
    return "upper"


@tool("case", hints=READ_ONLY)
def lower_case() -> str:
    """Differ from another tool by the case of its name."""
    return "lower"


@tool("not_read_only")
def not_read_only() -> str:
    """Do nothing, without hints."""
    return "done"


@tool(hints=READ_ONLY)
def limits(
    count: Annotated[int, Field(ge=1, le=10, description="From 1 to 10.")],
    color: Annotated[str, Field(pattern="^(red|green)$")] = "red",
) -> str:
    """Take arguments with limits."""
    return f"{count} {color}"


@tool(
    hints=READ_ONLY,
    input_schema={
        "type": "object",
        "properties": {
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}
        },
        "required": ["pair"],
        "unevaluatedProperties": False,
    },
)
def newest_dialect(arguments: dict[str, Any]) -> str:
    """Take arguments with a JSON Schema 2020-12 schema that does not name its dialect."""
    return "accepted"


@tool(
    hints=READ_ONLY,
    input_schema={
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}},
        "dependencies": {"pair": ["reason"]},
    },
)
def older_dialect(arguments: dict[str, Any]) -> str:
    """Take arguments with a draft 7 schema that names its dialect."""
    return "accepted"


@tool(hints=ToolHints(read_only=True))
def needs_scopes() -> str:
    """Refuse every caller, naming scopes."""
    raise MissingScope("orders:read", "orders:write")
