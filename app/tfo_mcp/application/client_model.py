"""ClientModel: replies by means of the client's own model (sampling), where the server has no model of its own.

In the stateless era the question ends the call, and its next run gets the answer. Tools are not offered: the client's
model answers with one message.
"""

from tfo_mcp.application.context import Channel
from tfo_mcp.application.ports import ModelReply, ModelRequest
from tfo_mcp.domain.content import Image, Text
from tfo_mcp.domain.dialogue import Block, Document, ToolAnswer
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.interaction import Sample, Sampled
from tfo_mcp.domain.prompt import PromptMessage
from tfo_mcp.domain.token_usage import TokenUsage

_STOP_REASONS = {"endTurn": "end_turn", "maxTokens": "max_tokens", "stopSequence": "stop_sequence"}
_UNKNOWN_USAGE = TokenUsage(cost=None)


async def client_reply(request: ModelRequest, channel: Channel, key: str) -> ModelReply:
    """Return the reply of the client's model; `key` identifies the question among those of the call.

    Raises:
        OperationFailed: the client's model cannot be asked this, or its reply has no text.
        MissingCapability: the client does not offer sampling.
    """
    if request.tools:
        raise OperationFailed("Tools need an API key on the server: your client's model replies without tools")
    settings = request.settings
    question = Sample(
        [PromptMessage(message.role, _content(block)) for message in request.messages for block in message.content],
        settings.max_tokens,
        settings.system_prompt,
        settings.temperature,
    )
    answer = (await channel.ask({key: question}))[key]
    if not isinstance(answer, Sampled) or not isinstance(answer.content, Text):
        raise OperationFailed("The client's model has not replied with text")
    reason = None if answer.stop_reason is None else _STOP_REASONS.get(answer.stop_reason, answer.stop_reason)
    return ModelReply((answer.content,), answer.model, reason, _UNKNOWN_USAGE)


def _content(block: Block) -> Text | Image:
    match block:
        case Text() | Image():
            return block
        case Document(data, "text/plain", title):
            return Text(f'<document title="{title}">\n{data.decode(errors="replace")}\n</document>')
        case ToolAnswer():
            return Text("(result of a tool)")
        case _:
            raise OperationFailed("The client's model takes text and images only: leave out other documents")
