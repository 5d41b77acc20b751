"""ConversationHandler: sends messages to the language model, within the caller's daily token quota."""

from tfo_mcp.application.call_policy import CallPolicy
from tfo_mcp.application.commands import SendMessage
from tfo_mcp.application.ports import EventBus, LanguageModel, ModelReply, ModelRequest, RateStore
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.rates import Rate

_MINUTES_OF_A_DAY = 24 * 60


class ConversationHandler:
    """Runs conversations with the language model.

    Args:
        policy: provides the daily token quota of a caller, which refills at a constant rate.
    """

    def __init__(self, model: LanguageModel, events: EventBus, rates: RateStore, policy: CallPolicy) -> None:
        self._model = model
        self._events = events
        self._rates = rates
        self._policy = policy

    async def send(self, command: SendMessage) -> ModelReply:
        """Send a message and return the model's reply.

        Raises:
            InvalidParams: the text is empty.
            OperationFailed: the caller's token quota is used up, or the model failed.
            NotConfigured: no language model is configured.
        """
        await self._require_tokens(command.caller)
        conversation = Conversation.begin()
        conversation.add("user", command.text)
        reply = await self._model.reply(
            ModelRequest(
                tuple(conversation.messages),
                model=command.model,
                system_prompt=command.system_prompt,
                max_tokens=command.max_tokens,
                temperature=command.temperature,
            )
        )
        await self._count_tokens(command.caller, reply)
        if reply.text.strip():
            conversation.add("assistant", reply.text)
        for event in conversation.collect_events():
            self._events.publish(event)
        return reply

    async def _require_tokens(self, caller: Caller) -> None:
        quota = self._quota(caller)
        if quota is None:
            return
        left = await self._rates.take(_counter(caller), quota, 0)
        if left.remaining == 0:
            raise OperationFailed(
                f"Your daily quota of {quota.burst} tokens is used up (limits.claude_tokens_per_day). It refills "
                "continuously: try again later"
            )

    async def _count_tokens(self, caller: Caller, reply: ModelReply) -> None:
        quota = self._quota(caller)
        if quota is not None:
            used = reply.input_tokens + reply.output_tokens
            left = await self._rates.take(_counter(caller), quota, 0)
            await self._rates.take(_counter(caller), quota, min(used, left.remaining))

    def _quota(self, caller: Caller) -> Rate | None:
        tokens = self._policy.tokens_per_day
        if not tokens or caller.method == "owner":
            return None
        return Rate(tokens / _MINUTES_OF_A_DAY, tokens)


def _counter(caller: Caller) -> str:
    return f"tokens:{caller.name}"
