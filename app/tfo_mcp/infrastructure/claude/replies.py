"""Reads the reply in a response of the Messages API: a stream of events, or a whole message.

The SDK validates neither, and `base_url` may point to any server. Some servers that imitate the API answer with a whole
message although a stream was asked for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
from pydantic_core import from_json

from tfo_mcp.application.ports import ModelReply, OnText
from tfo_mcp.domain.content import Text
from tfo_mcp.domain.dialogue import Block, RedactedThinking, Thinking, ToolUse
from tfo_mcp.domain.token_usage import TokenUsage

if TYPE_CHECKING:
    from anthropic import AsyncAPIResponse, AsyncStream

_STREAMS = ("text/event-stream", "application/vnd.amazon.eventstream")
_COUNTS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache_read",
    "cache_creation_input_tokens": "cache_write",
}


class InvalidReply(ValueError):
    """The response holds no message."""


class IncompleteReply(InvalidReply):
    """The response ends within a message."""


class SilentReply(InvalidReply):
    """The stream has stayed silent for too long."""


class ReplyReader:
    """Reads one reply; after a failure `usage` has the tokens that were reported until then.

    Args:
        on_text: receives the text while it is generated.
        silence_seconds: maximum time between two events of a stream.
    """

    def __init__(self, on_text: OnText | None, silence_seconds: float) -> None:
        self._on_text = on_text
        self._silence_seconds = silence_seconds
        self._counts: dict[str, int] = {}
        self._blocks: dict[int, _OpenBlock] = {}
        self._model: str | None = None
        self._stop_reason: str | None = None

    @property
    def usage(self) -> TokenUsage:
        """The tokens that were reported so far, without their cost."""
        return TokenUsage(**self._counts)

    @property
    def has_started(self) -> bool:
        """Whether a part of the reply has arrived."""
        return self._model is not None

    async def read(self, response: "AsyncAPIResponse[AsyncStream[Any]]") -> ModelReply:
        """Return the reply in a response, without its cost.

        Raises:
            InvalidReply: the response holds no message.
            IncompleteReply: it ends within one.
            SilentReply: the stream stays silent.
        """
        kind = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
        try:
            if kind in _STREAMS:
                await self._follow(await response.parse())
            else:
                self._take_whole(await response.json())
            return self._reply()
        except (AttributeError, KeyError, TypeError):
            raise InvalidReply from None

    async def _follow(self, events: "AsyncStream[Any]") -> None:
        iterator = aiter(events)
        while True:
            event: Any = None
            with anyio.move_on_after(self._silence_seconds):
                event = await anext(iterator, _END)
            if event is None:
                raise SilentReply
            if event is _END:
                raise IncompleteReply if self.has_started else InvalidReply
            if event.type == "message_stop":
                if self._model is None:
                    raise InvalidReply
                return
            await self._take(event)

    async def _take(self, event: Any) -> None:
        match event.type:
            case "message_start":
                self._model = str(event.message.model)
                self._count(event.message.usage)
            case "content_block_start":
                self._blocks[int(event.index)] = _OpenBlock(event.content_block)
                await self._pass_on(getattr(event.content_block, "text", ""))
            case "content_block_delta":
                self._blocks[int(event.index)].add(event.delta)
                await self._pass_on(getattr(event.delta, "text", ""))
            case "message_delta":
                self._stop_reason = event.delta.stop_reason
                self._count(event.usage)

    async def _pass_on(self, text: str) -> None:
        if self._on_text is not None and text:
            await self._on_text(text)

    def _count(self, usage: Any) -> None:
        for theirs, ours in _COUNTS.items():
            value = usage.get(theirs) if isinstance(usage, Mapping) else getattr(usage, theirs, None)
            if value is not None:
                self._counts[ours] = int(value)

    def _take_whole(self, message: Any) -> None:
        self._model, self._stop_reason = str(message["model"]), message["stop_reason"]
        usage = message["usage"]
        self._counts = {"input": int(usage["input_tokens"]), "output": int(usage["output_tokens"])}
        self._count(usage)
        for index, block in enumerate(message["content"]):
            self._blocks[index] = _OpenBlock(_Members(block))

    def _reply(self) -> ModelReply:
        assert self._model is not None
        opened = [self._blocks[index] for index in sorted(self._blocks)]
        if self._stop_reason != "tool_use":  # the reply may have ended within the arguments
            opened = [each for each in opened if not each.is_tool_use]
        blocks = [block for each in opened if (block := each.closed()) is not None]
        uses = [block.id for block in blocks if isinstance(block, ToolUse)]
        if len(set(uses)) < len(uses):
            raise InvalidReply
        return ModelReply(tuple(blocks), self._model, self._stop_reason, self.usage)


_END: Any = object()


class _Members:
    """The members of a JSON object as attributes, as the SDK's events have them."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.__dict__.update(members)


class _OpenBlock:
    """A block of the reply whose deltas arrive."""

    def __init__(self, start: Any) -> None:
        self._start = start
        self._text = str(getattr(start, "text", None) or getattr(start, "thinking", None) or "")
        self._signature = str(getattr(start, "signature", None) or "")
        self._json = ""

    def add(self, delta: Any) -> None:
        match delta.type:
            case "text_delta":
                self._text += delta.text
            case "thinking_delta":
                self._text += delta.thinking
            case "signature_delta":
                self._signature = delta.signature
            case "input_json_delta":
                self._json += delta.partial_json

    @property
    def is_tool_use(self) -> bool:
        return bool(self._start.type == "tool_use")

    def closed(self) -> Block | None:
        """Return the block, None for a kind that conversations do not have.

        Raises:
            InvalidReply: the arguments of a tool are no JSON object.
        """
        match self._start.type:
            case "text":
                return Text(self._text) if self._text.strip() else None  # the API takes no blank text back
            case "thinking":
                return Thinking(self._text, self._signature)
            case "redacted_thinking":
                return RedactedThinking(str(self._start.data))
            case "tool_use":
                return ToolUse(str(self._start.id), str(self._start.name), self._arguments())
        return None

    def _arguments(self) -> dict[str, Any]:
        try:
            given = from_json(self._json) if self._json.strip() else self._start.input
        except ValueError:
            raise InvalidReply from None
        if not isinstance(given, dict):
            raise InvalidReply
        return given
