"""The tool claude_conversation, and the resources of conversations and of their usage.

Owns the tool's parameters and results. Models, tools, limits and accounting are behind `ctx.converse`.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from tfo_mcp.builtin.output_schemas import members
from tfo_mcp.builtin.structured_content import is_repeated
from tfo_mcp.plugins import Context, ConversationReply, Text, ToolHints, ToolResult, resource, tool
from tfo_mcp.value_objects import value_object

_JSON = "application/json"
_NOTE_BYTES = 400  # reserved for the lines after the reply


@value_object
class Usage:
    """Tokens, and the estimated cost in US dollars, null if the model has no configured price."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float | None


@value_object
class Reply:
    """The model's reply, with the usage of this call and of the whole conversation.

    `text` is null if it is long: then only the text of the result has it.
    """

    conversation_id: str
    text: str | None
    model: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float | None
    conversation: Usage


@tool(
    title="Talk to Claude",
    scope="tools:ai",
    hints=ToolHints(
        read_only=False, destructive=False, idempotent=False, open_world=True
    ),  # not read-only: each call costs money
    output_schema=members(conversation_id="string", text="string?"),
)
async def claude_conversation(
    ctx: Context,
    *,
    message: Annotated[str | None, Field(pattern=r"\S", description="Text to send.")] = None,
    conversation_id: Annotated[str | None, Field(description="To continue.")] = None,
    model: Annotated[str | None, Field(min_length=1, description="Model name.")] = None,
    system_prompt: Annotated[str | None, Field(description="Instructions.")] = None,
    max_tokens: Annotated[int | None, Field(ge=1, description="Per reply.")] = None,
    temperature: Annotated[float | None, Field(ge=0, le=1, description="Older models only.")] = None,
    thinking_tokens: Annotated[int | None, Field(ge=1024, description="Budget.")] = None,
    resources: Annotated[list[str] | None, Field(description="URIs of text, PDF or images.")] = None,
    prompt: Annotated[str | None, Field(description="Prompt name.")] = None,
    prompt_arguments: Annotated[dict[str, str] | None, Field(description="For the prompt.")] = None,
    tools: Annotated[list[str] | None, Field(description="Tools of this server it may use.")] = None,
    max_turns: Annotated[int | None, Field(ge=1, description="Most replies.")] = None,
) -> ToolResult:
    """Talk to Claude in a new conversation, or continue one with its model settings."""
    reply = await ctx.converse(
        message,
        conversation_id=conversation_id,
        model=model,
        system_prompt=system_prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        thinking_tokens=thinking_tokens,
        resources=resources or (),
        prompt=prompt,
        prompt_arguments=prompt_arguments or {},
        tools=tools or (),
        max_turns=max_turns,
    )
    total = Usage(**_figures(reply.conversation_usage))
    is_short = is_repeated(reply.text)
    text, figures = reply.text if is_short else None, _figures(reply.usage)
    outcome = Reply(reply.conversation_id, text, reply.model, reply.stop_reason, **figures, conversation=total)
    return ToolResult(() if is_short else (Text(_long_reply(reply, ctx.max_result_bytes)),), outcome)


def _long_reply(reply: ConversationReply, most_bytes: int) -> str:
    """Return a long reply as text, and a line that says how to go on."""
    stopped = "" if reply.stop_reason in ("end_turn", None) else f" Stopped: {reply.stop_reason}."
    end = f"[Continue with conversation_id={reply.conversation_id}.{stopped}]"
    data = reply.text.encode(errors="replace")
    room = most_bytes - _NOTE_BYTES
    if len(data) <= room:
        return f"{reply.text}\n{end}"
    uri = f"conversation://{reply.conversation_id}"
    return f"{data[:room].decode(errors='ignore')}\n[Truncated. The whole reply is in the resource {uri}.]\n{end}"


@resource("conversation://{conversation_id}", name="conversation", title="Conversation", mime_type=_JSON)
async def conversation(conversation_id: str, ctx: Context) -> dict[str, Any]:
    """A conversation of yours with Claude: its messages, settings and usage. Binary content is left out."""
    found = await ctx.conversation(conversation_id)
    document = found.document()
    return {
        "id": found.id,
        "state": found.state,
        "created": found.created,
        "settings": document["settings"],
        "messages": [
            {"role": message["role"], "content": [_shown(block) for block in message["content"]]}
            for message in document["messages"]
        ],
        "usage": _figures(found.usage),
    }


@resource("usage://claude", name="claude-usage", title="Usage of Claude", mime_type=_JSON)
async def usage(ctx: Context) -> dict[str, Any]:
    """Your use of Claude: tokens and estimated cost of kept conversations, tokens by day, and your daily quota."""
    found = await ctx.model_usage()
    prices = ctx.configuration().get("claude", {}).get("prices", [])
    return {
        "conversations": found.conversations,
        "total": _figures(found.total),
        "models": {model: _figures(used) for model, used in found.models.items()},
        "days": [{"day": each.day.isoformat(), "tokens": each.tokens} for each in found.days if each.tokens],
        "quota": {"tokens_per_day": found.quota, "remaining": found.remaining},
        "prices": prices,
    }


def _figures(used: Any) -> dict[str, Any]:
    return {
        "input_tokens": used.input,
        "output_tokens": used.output,
        "cache_read_tokens": used.cache_read,
        "cache_write_tokens": used.cache_write,
        "cost_usd": used.cost,
    }


def _shown(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block without its binary data and signatures."""
    shown = {name: value for name, value in block.items() if name not in ("data", "signature")}
    if isinstance(shown.get("content"), list):
        shown["content"] = [_shown(part) for part in shown["content"]]
    return shown
