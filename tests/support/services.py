"""Services: a configuration served over every transport there is, for suites that run the same behaviour over all.

A new transport is one more entry in TRANSPORTS. Conversations that many tests may share are opened once.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from tests.support.conversations import EVERYTHING, Conversation
from tests.support.http_conversation import http_service
from tests.support.processes import PROJECT, Configuration
from tests.support.stdio_conversation import stdio_service


class Service(Protocol):
    """A configuration served over one transport."""

    @property
    def transport(self) -> str:
        """The transport's name."""

    def connect(
        self, revision: str, capabilities: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[Conversation]:
        """Open a conversation in which nothing was said yet."""


Serve = Callable[[Configuration, Mapping[str, str]], AbstractContextManager[Service]]
TRANSPORTS: Mapping[str, Serve] = {"stdio": stdio_service, "http": http_service}


class Services:
    """One configuration over every transport, started when first asked for, with the conversations that tests share."""

    def __init__(self, configuration: Configuration, stack: ExitStack) -> None:
        self._configuration = configuration
        self._stack = stack
        self._services: dict[str, Service] = {}
        self._shared: dict[tuple[str, str, str], Conversation] = {}

    def over(self, transport: str) -> Service:
        """Return the service over that transport."""
        if transport not in self._services:
            serving = TRANSPORTS[transport](self._configuration, {"PYTHONPATH": str(PROJECT)})
            self._services[transport] = self._stack.enter_context(serving)
        return self._services[transport]

    @contextmanager
    def fresh(
        self, transport: str, revision: str, capabilities: Mapping[str, Any] | None = None
    ) -> Iterator[Conversation]:
        """Yield a conversation of its own, ready for requests."""
        with self.over(transport).connect(revision, capabilities) as conversation:
            if not conversation.stateless:
                conversation.handshake()
            yield conversation

    def shared(self, transport: str, revision: str, capabilities: Mapping[str, Any] | None = None) -> Conversation:
        """Return a conversation that others have used and will use, ready for requests, with nothing waiting."""
        declared = EVERYTHING if capabilities is None else capabilities
        key = (transport, revision, repr(declared))
        conversation = self._shared.get(key)
        if conversation is None or not conversation.alive:
            conversation = self._stack.enter_context(self.fresh(transport, revision, declared))
            self._shared[key] = conversation
        conversation.forget()
        return conversation

    def discard(self, conversation: Conversation) -> None:
        """Share that conversation no longer: nobody knows what it is in the middle of."""
        for key, shared in tuple(self._shared.items()):
            if shared is conversation:
                del self._shared[key]


@contextmanager
def services(configuration: Configuration) -> Iterator[Services]:
    """Yield the services of this configuration; all that was started ends with the block."""
    with ExitStack() as stack:
        yield Services(configuration, stack)
