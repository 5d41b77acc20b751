"""The tool claude_conversation.

Owns what the tool takes and gives; keys, defaults and limits are the affair of the language model behind
`ctx.converse`.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import Context, ToolHints, tool


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answered, and what it cost."""

    text: str
    model: Annotated[str, Field(description="The model that answered.")]
    stop_reason: Annotated[str | None, Field(description="Why it stopped, such as end_turn, max_tokens or refusal.")]
    input_tokens: int
    output_tokens: int


@tool(
    title="Talk to Claude",
    scope="tools:ai",
    hints=ToolHints(
        read_only=False, destructive=False, idempotent=False, open_world=True
    ),  # no reading: it costs money
)
async def claude_conversation(
    message: Annotated[str, Field(min_length=1, pattern=r"\S", description="What to say to the model.")],
    ctx: Context,
    *,
    model: Annotated[
        str | None, Field(min_length=1, description="Name of the model; by default the configured one.")
    ] = None,
    system_prompt: Annotated[str | None, Field(description="What the model is to be or to know beforehand.")] = None,
    max_tokens: Annotated[int | None, Field(ge=1, description="Longest answer, in tokens.")] = None,
    temperature: Annotated[
        float | None,
        Field(ge=0, le=1, description="How varied the answer may be; only older models still take it."),
    ] = None,
) -> Reply:
    """Say something to a Claude model and answer with its reply. Each call is a conversation of its own."""
    reply = await ctx.converse(
        message, model=model, system_prompt=system_prompt, max_tokens=max_tokens, temperature=temperature
    )
    return Reply(reply.text, reply.model, reply.stop_reason, reply.input_tokens, reply.output_tokens)
