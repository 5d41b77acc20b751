"""TurnRunner: runs one turn of a conversation, from the user's message to the model's last reply, with its tools.

The conversation is stored after each step. A call that fails leaves a history that can be continued, and a call that
must ask the client first (stateless era) continues where it stopped. Knows no provider and no store's technology.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import time

import anyio

from tfo_mcp.application.client_model import client_reply
from tfo_mcp.application.commands import ConversationReply, SendMessage
from tfo_mcp.application.model_tools import DATA_NOTICE, GrantedTools, ModelTools, limit_answers
from tfo_mcp.application.ports import (
    ConversationStore,
    EventBus,
    LanguageModel,
    ModelFailed,
    ModelReply,
    ModelRequest,
    ToolOffer,
)
from tfo_mcp.application.text_progress import TextProgress
from tfo_mcp.application.token_quota import TokenQuota
from tfo_mcp.domain.conversation import Conversation, ConversationLimits, ModelSettings
from tfo_mcp.domain.dialogue import Document
from tfo_mcp.domain.errors import Conflict, OperationFailed, StateUnavailable
from tfo_mcp.domain.interaction import InputRequired
from tfo_mcp.domain.token_usage import NO_USAGE, TokenUsage
from tfo_mcp.value_objects import value_object

_CLEANUP_SECONDS = 3.0
_UNAVAILABLE = "Not available in this call."
CARRIED = "conversation"
"""The key of the values that the next run of a call continues with: the ids of the conversation and the turn."""


@value_object
class TurnLimits:
    """The limits of conversations and turns; a reply of the model takes at most `reply_seconds`."""

    conversation: ConversationLimits
    replies: int
    reply_seconds: float


class TurnRunner:
    """Runs turns."""

    def __init__(
        self,
        model: LanguageModel,
        store: ConversationStore,
        events: EventBus,
        quota: TokenQuota,
        tools: ModelTools,
        limits: TurnLimits,
        clock: Callable[[], float] = time,
    ) -> None:
        self._model = model
        self._store = store
        self._events = events
        self._quota = quota
        self._tools = tools
        self._limits = limits
        self._clock = clock

    async def run(self, conversation: Conversation, granted: GrantedTools, command: SendMessage) -> ConversationReply:
        """Run the turn in progress to its end, and return the last reply.

        Raises:
            OperationFailed: there is no reply; the history is as before, or ends with the results of tools.
            InputRequired: the call runs again with the client's answer.
        """
        most = min(command.max_turns or self._limits.replies, self._limits.replies)
        step = _Step(conversation, granted, command, most, TextProgress(command.context.channel))
        try:
            reason = await self._advance(step)
        except InputRequired:
            raise
        except BaseException as problem:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_SECONDS):
                await self._fail(step, problem)
            if isinstance(problem, OperationFailed):
                raise _with_hint(problem, conversation, command) from None
            raise
        return step.reply(reason)

    async def save(self, conversation: Conversation, busy_seconds: float) -> None:
        """Store the conversation and publish its events; other calls must wait for `busy_seconds`.

        Raises:
            OperationFailed: another call has continued it meanwhile.
        """
        conversation.busy_until = self._clock() + busy_seconds if busy_seconds else 0.0
        try:
            await self._store.put(conversation)
        except Conflict:
            raise OperationFailed("Another call has continued this conversation meanwhile: try again") from None
        for event in conversation.collect_events():
            self._events.publish(event)

    async def _advance(self, step: "_Step") -> str | None:
        """Take steps until the turn has ended; return why the model, or the use of tools, has stopped."""
        conversation = step.conversation
        while True:
            if not conversation.open_tool_uses:
                step.last = await self._reply(step)
                if step.last.stop_reason == "refusal":  # a refused turn must not stay in the history
                    step.note_usage()
                    conversation.withdraw()
                    return await self._end(step, step.last.stop_reason)
            if not conversation.open_tool_uses:
                return await self._end(step, None if step.last is None else step.last.stop_reason)
            if step.requests >= step.most_replies:
                conversation.answer_tools(limit_answers(conversation.open_tool_uses))
                return await self._end(step, "max_turns")
            if not await self._tools.answer(conversation, step.granted, step.command.context, self._saver(step)):
                return await self._end(step, "approval_refused")
            await self.save(conversation, self._limits.reply_seconds)

    async def _reply(self, step: "_Step") -> ModelReply:
        context, conversation = step.command.context, step.conversation
        await self._quota.require(context.caller)
        request = step.request()
        if self._model.is_configured:
            reply = await step.progress.during(lambda: self._model.reply(request, step.progress.add, step.abandon))
        else:
            step.carry()
            await self.save(conversation, 0)
            reply = await client_reply(request, context.channel, f"reply:{step.turn_id}:{step.requests}")
        conversation.add_reply(reply.content, reply.usage)
        await self._quota.count(context.caller, reply.usage)
        return reply

    async def _end(self, step: "_Step", reason: str | None) -> str | None:
        step.note_usage()
        step.conversation.end_turn()
        await self.save(step.conversation, 0)
        return reason

    def _saver(self, step: "_Step") -> Callable[[float], Awaitable[None]]:
        async def save(busy_seconds: float) -> None:
            step.carry()
            await self.save(step.conversation, busy_seconds)

        return save

    async def _fail(self, step: "_Step", problem: BaseException) -> None:
        """Bring the history into a state that can be continued, and store it unless another call has gone on."""
        conversation = step.conversation
        try:
            usage = problem.usage if isinstance(problem, ModelFailed) else step.abandoned
            conversation.charge(usage)
            await self._quota.count(step.command.context.caller, usage)
            if conversation.turn is not None:
                conversation.fail_turn()
            await self.save(conversation, 0)  # fails if another call has continued it
            if not conversation.messages:
                await self._store.delete(conversation.id)
        except (OperationFailed, StateUnavailable):
            return  # the first failure is reported


@dataclass(slots=True)
class _Step:
    """One run of a call in its turn."""

    conversation: Conversation
    granted: GrantedTools
    command: SendMessage
    most_replies: int
    progress: TextProgress
    last: ModelReply | None = None
    usage: TokenUsage = NO_USAGE
    abandoned: TokenUsage = NO_USAGE

    @property
    def turn_id(self) -> str:
        return "" if self.conversation.turn is None else self.conversation.turn.id

    @property
    def requests(self) -> int:
        """The number of replies in this turn."""
        return 0 if self.conversation.turn is None else self.conversation.turn.requests

    def note_usage(self) -> None:
        """Keep the usage of the turn, which ends."""
        if self.conversation.turn is not None:
            self.usage = self.conversation.turn.usage

    def abandon(self, usage: TokenUsage) -> None:
        """Keep the usage of a reply that was cancelled."""
        self.abandoned = usage

    def carry(self) -> None:
        """Let the next run of the call continue here, if a question ends this one."""
        self.command.context.channel.carried[CARRIED] = [self.conversation.id, self.turn_id]

    def request(self) -> ModelRequest:
        """Return the request for the next reply."""
        messages = self.conversation.messages
        offers = self.granted.offers()
        used = {block.name for message in messages for block in message.tool_uses}
        if not offers:  # the API needs definitions for the tools in the history
            offers = [ToolOffer(name, _UNAVAILABLE, {"type": "object"}) for name in sorted(used)]
        settings = self.conversation.settings
        if offers or any(isinstance(block, Document) for message in messages for block in message.content):
            settings = _with_notice(settings)
        may_use = bool(self.granted.tools) and self.requests + 1 < self.most_replies
        context = self.command.context
        return ModelRequest(tuple(messages), settings, offers, may_use, context.caller.name, context.tool)

    def reply(self, reason: str | None) -> ConversationReply:
        """Return the result of the call."""
        conversation, last = self.conversation, self.last
        said = [message.text for message in conversation.messages if message.role == "assistant"]
        return ConversationReply(
            conversation.id,
            last.text if last is not None else said[-1] if said else "",
            last.model if last is not None else conversation.settings.model or "",
            reason,
            self.usage,
            conversation.usage,
        )


def _with_notice(settings: ModelSettings) -> ModelSettings:
    return replace(settings, system_prompt="\n\n".join(filter(None, (settings.system_prompt, DATA_NOTICE))))


def _with_hint(problem: OperationFailed, conversation: Conversation, command: SendMessage) -> OperationFailed:
    """Return the error with the id of a new conversation whose tools have already run."""
    if command.conversation_id is not None or not conversation.messages:
        return problem
    return OperationFailed(
        f"{problem.message}. The results of tools are kept in the conversation {conversation.id}: continue it with "
        "conversation_id"
    )
