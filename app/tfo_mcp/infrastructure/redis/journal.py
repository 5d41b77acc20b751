"""Journal: the messages of all replicas to each other, in order, without a loss while one is disconnected for a while.

A message arrives by publish and subscribe. Entries have numbers: whoever misses one reads the journal, which keeps the
latest. Knows no kind of message.
"""

from collections.abc import Callable
from secrets import token_hex

import anyio

from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.infrastructure.redis.client import RedisClient
from tfo_mcp.infrastructure.redis.subscriber import Subscriber

_CHANNEL = "journal"
_MOST_ENTRIES = 1000
_MOST_AGE_MS = 30_000
_PAGE = 100
_RETRY_SECONDS = 0.5
_NEW = b"-"  # the epoch of a reader that has found no journal yet: it reads the first one from its beginning

Receiver = Callable[[bytes], None]


class JournalChannel:
    """The messages of one kind in a journal."""

    def __init__(self, journal: "Journal", kind: str) -> None:
        self._journal = journal
        self._kind = kind

    async def send(self, message: bytes) -> None:
        """Send a message to every replica; those that are disconnected read it later.

        Raises:
            StateUnavailable: Redis is down.
        """
        await self._journal.append(self._kind, message)

    def receive(self, receiver: Receiver) -> None:
        """Pass the messages of all replicas to a receiver."""
        self._journal.receive(self._kind, receiver)


class Journal:
    """Appends messages, and passes those of all replicas, its own included, to the receiver of their kind."""

    def __init__(self, client: RedisClient, subscriber: Subscriber) -> None:
        self._client = client
        self._receivers: dict[bytes, Receiver] = {}
        self._epoch = b""  # changes when Redis has lost its data
        self._number = 0
        self.is_behind = True
        """Whether messages may have been missed that are still to be read."""
        self.first_read = anyio.Event()
        self._fell_behind = anyio.Event()
        subscriber.receive(_CHANNEL, self._receive)
        subscriber.call_when_connected(self._fall_behind)

    def receive(self, kind: str, receiver: Receiver) -> None:
        """Pass the messages of a kind to a receiver; to be called before `run`."""
        self._receivers[kind.encode()] = receiver

    async def append(self, kind: str, message: bytes) -> int:
        """Send a message to every replica, and return how many receive it at once; others read it later.

        Raises:
            StateUnavailable: Redis is down.
        """
        given = (kind, message, token_hex(6), _MOST_ENTRIES, _MOST_AGE_MS)
        return int(await self._client.run("journal_append", *given))

    async def run(self) -> None:
        """Read what was missed, until cancelled."""
        while True:
            await self._fell_behind.wait()
            self._fell_behind = anyio.Event()
            try:
                while await self._read():
                    pass
            except StateUnavailable:
                await anyio.sleep(_RETRY_SECONDS)
                self._fell_behind.set()

    async def _read(self) -> bool:
        """Pass on the next missed messages; return whether there may be more."""
        epoch, number, entries = await self._client.run("journal_read", self._epoch, self._number, _PAGE)
        is_first = not self._epoch
        self._epoch, self._number = epoch or _NEW, int(number)
        for kind, message in entries:
            self._pass_on(kind, message)
        if is_first or len(entries) == _PAGE:
            return True
        self.is_behind = self._fell_behind.is_set()
        self.first_read.set()
        return self.is_behind

    def _fall_behind(self) -> None:
        self.is_behind = True
        self._fell_behind.set()

    def _receive(self, message: bytes) -> None:
        head, _, content = message.partition(b"\n")
        epoch, number, kind = head.split(b" ")
        if self.is_behind:
            self._fell_behind.set()
        elif epoch != self._epoch or int(number) > self._number + 1:
            self._fall_behind()
        elif int(number) > self._number:
            self._number = int(number)
            self._pass_on(kind, content)

    def _pass_on(self, kind: bytes, message: bytes) -> None:
        receiver = self._receivers.get(kind)  # a newer version may send other kinds
        if receiver is not None:
            receiver(message)
