"""RedisSessionBus: sends an answer or cancellation to the replica that waits for it, and asks which sessions are used.

Knows sessions only by their ids, and frames only as bytes.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from secrets import token_hex

import anyio

from tfo_mcp.application.ports import Use
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.infrastructure.redis.journal import Journal
from tfo_mcp.infrastructure.redis.replicas import Replicas

_FRAME, _ANSWER = "relay", "used"
_QUESTIONS = {Use.OPEN: "used?", Use.CALLS: "calls?"}
_ANSWER_SECONDS = 1.0  # that the answers of all replicas may take together
_MOST_ANSWERS = 1000  # that wait to be sent


class _Question:
    """Which sessions are used: the answers so far."""

    def __init__(self) -> None:
        self.used: set[SessionId] = set()
        self._answers = 0
        self._answered = anyio.Event()

    def take(self, used: Collection[SessionId]) -> None:
        """Add the answer of one replica."""
        self.used.update(used)
        self._answers += 1
        self._answered.set()

    async def await_answers(self, replicas: int) -> None:
        """Wait until this number of replicas has answered."""
        while self._answers < replicas:
            self._answered = anyio.Event()
            await self._answered.wait()


class RedisSessionBus:
    """Passes frames to the servers of all replicas."""

    def __init__(self, journal: Journal, replicas: Replicas) -> None:
        self._journal = journal
        self._replicas = replicas
        self._receivers: list[Callable[[SessionId, bytes], None]] = []
        self._uses: dict[Use, list[Callable[[SessionId], bool]]] = {use: [] for use in Use}
        self._questions: dict[bytes, _Question] = {}
        self._answers: deque[bytes] = deque(maxlen=_MOST_ANSWERS)
        self._to_answer = anyio.Event()
        journal.receive(_FRAME, self._receive)
        for use, kind in _QUESTIONS.items():
            journal.receive(kind, partial(self._asked, use))
        journal.receive(_ANSWER, self._answered)

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Pass the frame to every replica, this one included; replicas without the session ignore it."""
        await self._journal.append(_FRAME, session_id.encode() + b"\n" + frame)

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Add a receiver; return a function that removes it."""
        self._receivers.append(receiver)
        return lambda: self._receivers.remove(receiver)

    def report_use(self, use: Use, in_use: Callable[[SessionId], bool]) -> None:
        """Let replicas that ask know the sessions that this process uses in one way."""
        self._uses[use].append(in_use)

    async def used(self, session_ids: Sequence[SessionId], use: Use = Use.OPEN) -> Collection[SessionId]:
        """Return those of the sessions that any replica uses in this way.

        Raises:
            StateUnavailable: Redis is down, or a replica did not answer in time; one that was killed is forgotten soon.
        """
        name = token_hex(6).encode()
        question = self._questions[name] = _Question()
        try:
            asked = await self._journal.append(
                _QUESTIONS[use], b" ".join([name, *(one.encode() for one in session_ids)])
            )
            with anyio.fail_after(_ANSWER_SECONDS):
                await question.await_answers(max(asked, self._replicas.count))
        except TimeoutError:
            raise StateUnavailable from None
        finally:
            del self._questions[name]
        return question.used

    async def run(self) -> None:
        """Send answers to other replicas, until cancelled."""
        while True:
            await self._to_answer.wait()
            self._to_answer = anyio.Event()
            while self._answers:
                with suppress(StateUnavailable):
                    await self._journal.append(_ANSWER, self._answers.popleft())

    def _receive(self, message: bytes) -> None:
        session_id, _, frame = message.partition(b"\n")
        for receiver in tuple(self._receivers):
            receiver(SessionId(session_id.decode("ascii")), frame)

    def _asked(self, use: Use, message: bytes) -> None:
        name, *session_ids = message.split(b" ")
        uses = self._uses[use]
        used = [one for one in session_ids if any(in_use(SessionId(one.decode("ascii"))) for in_use in uses)]
        if name in self._questions:
            self._questions[name].take([SessionId(one.decode("ascii")) for one in used])
            return
        self._answers.append(b" ".join([name, *used]))
        self._to_answer.set()

    def _answered(self, message: bytes) -> None:
        name, *used = message.split(b" ")
        question = self._questions.get(name)
        if question is not None:
            question.take([SessionId(one.decode("ascii")) for one in used])
