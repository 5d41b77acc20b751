"""ConversationHandler: carries the user's words to the language model and its answer back."""

from app.application.commands import SendMessage
from app.application.ports import EventBus, LanguageModel, ModelReply, ModelRequest
from app.domain.conversation import Conversation


class ConversationHandler:
    """Holds dialogues with the language model."""

    def __init__(self, model: LanguageModel, events: EventBus) -> None:
        self._model = model
        self._events = events

    async def send(self, command: SendMessage) -> ModelReply:
        """Say something and return the answer.

        Raises:
            InvalidParams: the text is empty.
            NotConfigured, OperationFailed: as the language model.
        """
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
        if reply.text.strip():
            conversation.add("assistant", reply.text)
        for event in conversation.collect_events():
            self._events.publish(event)
        return reply
