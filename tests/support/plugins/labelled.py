"""Definitions, contents and results with metadata of their own in every place that has some."""

from typing import Any

from tfo_mcp.plugins import (
    Context,
    RenderedPrompt,
    Text,
    TextContents,
    ToolHints,
    ToolResult,
    prompt,
    resource,
    tool,
    user,
)


def label(place: str) -> dict[str, dict[str, str]]:
    """Return the metadata of a place."""
    return {"example.org/label": {"place": place}}


@tool(hints=ToolHints(read_only=True), meta=label("tool"))
def labelled_tool() -> ToolResult:
    """Return a labelled block."""
    return ToolResult((Text("text", meta=label("block")),), meta=label("tool result"))


@tool(hints=ToolHints(read_only=True))
async def declared_settings(extension: str, ctx: Context) -> dict[str, Any]:
    """Return the settings that the client declared for an extension."""
    return {"settings": ctx.extension(extension)}


@resource("labelled://one", meta=label("resource"))
def labelled_resource() -> TextContents:
    """A labelled resource."""
    return TextContents("labelled://one", "text", meta=label("contents"))


@resource("labelled://all/{name}", meta=label("template"))
def labelled_template(name: str) -> str:
    """Labelled resources."""
    return name


@prompt(meta=label("prompt"))
def labelled_prompt() -> RenderedPrompt:
    """A labelled prompt."""
    return RenderedPrompt((user(Text("text", meta=label("message"))),), meta=label("prompt result"))
