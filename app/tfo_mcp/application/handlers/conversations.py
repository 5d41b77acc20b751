"""ConversationHandler: conversations with the language model, which belong to the caller that began them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import time

from tfo_mcp.application.commands import ConversationReply, SendMessage
from tfo_mcp.application.fair_limiter import current_account
from tfo_mcp.application.model_tools import GrantedTools
from tfo_mcp.application.ports import ConversationStore, ConversationSummary, LanguageModel, UsageStore
from tfo_mcp.application.queries import GetConversation, GetModelUsage, ListConversations, ModelUsage
from tfo_mcp.application.token_quota import TokenQuota
from tfo_mcp.application.turns import CARRIED, TurnLimits, TurnRunner
from tfo_mcp.application.user_content import user_content
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.conversation import Conversation, ConversationState, ModelSettings
from tfo_mcp.domain.errors import ConversationNotFound, NotConfigured, OperationFailed, StateUnavailable
from tfo_mcp.domain.ids import ConversationId, is_conversation_id
from tfo_mcp.domain.text import with_whole_characters
from tfo_mcp.domain.token_usage import NO_USAGE, TokenUsage

_TOOL = "claude_conversation"
_SCOPE = "tools:ai"
_MOST_LISTED = 100
_MOST_SUMMED = 10_000
_DAYS = 7


class ConversationHandler:
    """Begins, continues, lists and reads conversations, and sums up their usage."""

    def __init__(
        self,
        model: LanguageModel,
        store: ConversationStore,
        usage: UsageStore,
        quota: TokenQuota,
        turns: TurnRunner,
        limits: TurnLimits,
        clock: Callable[[], float] = time,
    ) -> None:
        self._model = model
        self._store = store
        self._usage = usage
        self._quota = quota
        self._turns = turns
        self._limits = limits
        self._clock = clock

    async def send(self, command: SendMessage) -> ConversationReply:
        """Send a message and return the model's reply.

        Raises:
            OperationFailed: the conversation, the message or the tools cannot be used, the caller's token quota is used
                up, or the model failed.
            NotConfigured: there is no language model, neither here nor in the client.
            InputRequired: the call runs again with the client's answer.
        """
        context = command.context
        await self._quota.require(context.caller)
        granted = await GrantedTools.of(command.tools, context)
        conversation = await self._resumed(command)
        if conversation is None:
            conversation = await self._begun(command)
        return await self._turns.run(conversation, granted, command)

    async def get(self, query: GetConversation) -> Conversation:
        """Return a conversation of the caller.

        Raises:
            ConversationNotFound: the caller has none with that id.
        """
        return await self._owned(query.conversation_id, query.caller)

    async def list(self, query: ListConversations) -> Sequence[ConversationSummary]:
        """Return the caller's most recent conversations; anonymous callers share a name and get none."""
        if query.caller.method == "anonymous" or not query.caller.may_use(_TOOL, _SCOPE):
            return ()
        with suppress(StateUnavailable):  # the other resources can be listed
            return await self._store.list(_owner_of(query.caller), _MOST_LISTED)
        return ()

    async def usage(self, query: GetModelUsage) -> ModelUsage:
        """Return what the caller has used the language model for."""
        caller = query.caller
        is_known = caller.method != "anonymous"
        found = await self._store.list(_owner_of(caller), _MOST_SUMMED) if is_known else ()
        since = datetime.fromtimestamp(self._clock(), UTC).date() - timedelta(days=_DAYS - 1)
        days = await self._usage.list(since, caller.name) if is_known else ()
        models: dict[str, TokenUsage] = {}
        for each in found:
            name = each.model or "client"
            models[name] = models.get(name, NO_USAGE) + each.usage
        total = sum(models.values(), NO_USAGE)
        remaining = await self._quota.remaining(caller)
        return ModelUsage(len(found), total, models, days, self._quota.limit(caller), remaining)

    async def _resumed(self, command: SendMessage) -> Conversation | None:
        """Return the conversation that an earlier run of the call has stopped in, None in its first run.

        Raises:
            OperationFailed: the turn has been continued or ended meanwhile.
        """
        carried = command.context.channel.carried.get(CARRIED)
        if carried is None:
            return None
        conversation_id, turn_id = carried
        conversation = await self._owned(conversation_id, command.context.caller)
        if conversation.turn is None or conversation.turn.id != turn_id or conversation.busy_until > self._clock():
            raise OperationFailed("This call has been answered, or its conversation has gone on: send a new message")
        return conversation

    async def _begun(self, command: SendMessage) -> Conversation:
        """Return the conversation with the user's message in a new turn."""
        conversation = await self._opened(command)
        content = await user_content(command)
        try:
            conversation.begin_turn(content, self._limits.conversation, self._clock())
        except OperationFailed:
            if conversation.state is ConversationState.CLOSED and conversation.edition:
                await self._turns.save(conversation, 0)
            raise
        await self._turns.save(conversation, self._limits.reply_seconds)
        return conversation

    async def _opened(self, command: SendMessage) -> Conversation:
        if command.conversation_id is not None:
            conversation = await self._owned(command.conversation_id, command.context.caller)
            _require_same(conversation.settings, command)
            return conversation
        settings = self._model.settings(
            command.model,
            command.max_tokens,
            with_whole_characters(command.system_prompt),
            command.temperature,
            command.thinking_tokens,
        )
        if self._model.is_configured or not command.context.channel.supports("sampling"):
            await self._model.check(settings)
        else:
            settings = _of_client(settings, command)
        return Conversation.begin(_owner_of(command.context.caller), settings, self._clock())

    async def _owned(self, conversation_id: str, caller: Caller) -> Conversation:
        if not is_conversation_id(conversation_id):  # a database cannot take every text
            raise ConversationNotFound
        conversation = await self._store.get(ConversationId(conversation_id))
        if conversation is None or conversation.owner != _owner_of(caller):
            raise ConversationNotFound
        return conversation


def _owner_of(caller: Caller) -> str:
    """Return the owner of the caller's conversations: its name, or its network if it is anonymous."""
    return current_account.get() if caller.method == "anonymous" else caller.name


def _of_client(settings: ModelSettings, command: SendMessage) -> ModelSettings:
    """Return the settings of a conversation with the client's model.

    Raises:
        NotConfigured: the call asks for what only a model of the server can do.
    """
    if command.thinking_tokens is not None or command.model is not None:
        raise NotConfigured(
            "Without an API key on the server, your client chooses the model: leave out model and thinking_tokens"
        )
    return replace(settings, model=None)


def _require_same(settings: ModelSettings, command: SendMessage) -> None:
    """Check that a call does not change the settings of its conversation.

    Raises:
        OperationFailed: it does.
    """
    for name in ("model", "max_tokens", "system_prompt", "temperature", "thinking_tokens"):
        given = getattr(command, name)
        if given is not None and given != getattr(settings, name):
            raise OperationFailed(f"{name} is fixed for a conversation: leave it out, or begin a new conversation")
