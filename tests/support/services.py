"""Services: one configuration served over every transport, for suites that run the same tests over all of them.

A new transport is one more entry in TRANSPORTS. Conversations that tests can share are opened once, and all network
transports of a configuration share one process.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cached_property, partial
from typing import Any, Protocol

from tests.support.balanced import network_server
from tests.support.conversations import EVERYTHING, Conversation
from tests.support.http_conversation import HttpConversation
from tests.support.processes import (
    PROJECT,
    Configuration,
    HttpServer,
    UnixServer,
    stdio_child,
    unix_server,
)
from tests.support.sse_conversation import SseConversation
from tests.support.stdio_conversation import StdioConversation
from tests.support.unix_conversation import UnixConversation
from tests.support.websocket_conversation import WebSocketConversation

Capabilities = Mapping[str, Any] | None


class Connect(Protocol):
    """Opens conversations over one transport, before any message."""

    def __call__(self, revision: str, capabilities: Capabilities = None) -> AbstractContextManager[Conversation]:
        """Open a conversation at a revision, with a client of these capabilities."""


class Processes:
    """The processes that serve one configuration; shared processes start once, when first used."""

    def __init__(self, configuration: Configuration, stack: ExitStack, variables: Mapping[str, str]) -> None:
        self._configuration = configuration
        self._stack = stack
        self._variables = {"PYTHONPATH": str(PROJECT), **variables}

    @cached_property
    def network(self) -> HttpServer:
        """The process, or the replicas, that serve every network transport."""
        return self._stack.enter_context(network_server(self._configuration, variables=self._variables))

    @cached_property
    def unix_socket(self) -> UnixServer:
        """The process that serves a Unix socket."""
        return self._stack.enter_context(unix_server(self._configuration, variables=self._variables))

    @contextmanager
    def over_stdio(self, revision: str, capabilities: Capabilities = None) -> Iterator[StdioConversation]:
        """Yield a conversation with a process of its own."""
        with (
            stdio_child(self._configuration, variables=self._variables) as child,
            closing(StdioConversation(child, revision, capabilities)) as conversation,
        ):
            yield conversation


def closed(opening: Callable[[str, Capabilities], Conversation]) -> Connect:
    """Return a `Connect` that opens conversations with a shared process, and closes each at the end of its block."""

    @contextmanager
    def connect(revision: str, capabilities: Capabilities = None) -> Iterator[Conversation]:
        with closing(opening(revision, capabilities)) as conversation:
            yield conversation

    return connect


TRANSPORTS: Mapping[str, Callable[[Processes], Connect]] = {
    "stdio": lambda processes: processes.over_stdio,
    "unix": lambda processes: closed(partial(UnixConversation, processes.unix_socket)),
    "http": lambda processes: closed(partial(HttpConversation, processes.network)),
    "websocket": lambda processes: closed(partial(WebSocketConversation, processes.network)),
    "sse": lambda processes: closed(partial(SseConversation, processes.network)),
}


class Services:
    """One configuration over every transport, started when first used, with the conversations that tests share."""

    def __init__(self, configuration: Configuration, stack: ExitStack, variables: Mapping[str, str]) -> None:
        self._stack = stack
        self.processes = Processes(configuration, stack, variables)
        self._shared: dict[tuple[str, str, str], Conversation] = {}

    def connect(
        self, transport: str, revision: str, capabilities: Capabilities = None
    ) -> AbstractContextManager[Conversation]:
        """Open a conversation before any message."""
        return TRANSPORTS[transport](self.processes)(revision, capabilities)

    @contextmanager
    def fresh(self, transport: str, revision: str, capabilities: Capabilities = None) -> Iterator[Conversation]:
        """Yield a conversation that no other test uses, ready for requests."""
        with self.connect(transport, revision, capabilities) as conversation:
            if not conversation.stateless:
                conversation.handshake()
            yield conversation

    def shared(self, transport: str, revision: str, capabilities: Capabilities = None) -> Conversation:
        """Return a conversation that tests share, ready for requests and with an empty inbox."""
        declared = EVERYTHING if capabilities is None else capabilities
        key = (transport, revision, repr(declared))
        conversation = self._shared.get(key)
        if conversation is None or not conversation.alive:
            conversation = self._stack.enter_context(self.fresh(transport, revision, declared))
            self._shared[key] = conversation
        conversation.forget()
        return conversation

    def discard(self, conversation: Conversation) -> None:
        """Stop sharing a conversation whose state is unknown."""
        for key, shared in tuple(self._shared.items()):
            if shared is conversation:
                del self._shared[key]


@contextmanager
def services(configuration: Configuration, variables: Mapping[str, str] | None = None) -> Iterator[Services]:
    """Yield the services of this configuration and environment; every process ends with the block."""
    with ExitStack() as stack:
        yield Services(configuration, stack, variables or {})
