"""The contracts of SessionBus and EventBus."""

from collections.abc import Callable

import anyio
import pytest

from tests.support.deadlines import PATIENCE, eventually
from tfo_mcp.application.ports import EventBus, SessionBus, Use
from tfo_mcp.domain.events import (
    DomainEvent,
    PromptRegistered,
    PromptRemoved,
    ReloadRequested,
    ResourceRegistered,
    ResourceRemoved,
    ResourceUpdated,
    SessionClosed,
    SessionCreated,
    ToolExecuted,
    ToolRegistered,
    ToolRemoved,
)
from tfo_mcp.domain.ids import SessionId

pytestmark = pytest.mark.anyio

SESSION = SessionId("session")


class Received:
    """The frames that a receiver got, and a way to wait for them."""

    def __init__(self) -> None:
        self.frames: list[tuple[SessionId, bytes]] = []
        self._changed = anyio.Event()

    def __call__(self, session_id: SessionId, frame: bytes) -> None:
        """Keep a frame."""
        self.frames.append((session_id, frame))
        self._changed.set()

    async def wait_for(self, count: int) -> list[tuple[SessionId, bytes]]:
        """Return the frames once there are at least `count`."""
        with anyio.fail_after(PATIENCE):
            while len(self.frames) < count:
                await self._changed.wait()
                self._changed = anyio.Event()
        return self.frames


class TestSessionBus:
    async def test_a_frame_reaches_every_receiver_of_the_other_process_in_order(
        self, session_bus: tuple[SessionBus, SessionBus]
    ) -> None:
        here, there = session_bus
        receivers = [Received(), Received()]
        for receiver in receivers:
            there.subscribe(receiver)
        frames = [(SESSION, b"a"), (SessionId("other"), b"\x00\xff"), (SESSION, b"")]
        for session_id, frame in frames:
            await here.publish(session_id, frame)
        for receiver in receivers:
            assert await receiver.wait_for(len(frames)) == frames

    async def test_who_has_left_receives_nothing(self, session_bus: tuple[SessionBus, SessionBus]) -> None:
        here, there = session_bus
        gone, staying = Received(), Received()
        leave = there.subscribe(gone)
        there.subscribe(staying)
        leave()
        await here.publish(SESSION, b"a")
        assert await staying.wait_for(1) == [(SESSION, b"a")]
        assert gone.frames == []

    async def test_nobody_needs_to_listen(self, session_bus: tuple[SessionBus, SessionBus]) -> None:
        await session_bus[0].publish(SESSION, b"a")

    async def test_sessions_are_used_if_any_process_uses_them(self, session_bus: tuple[SessionBus, SessionBus]) -> None:
        here, there = session_bus
        names = [SessionId(name) for name in ("used-here", "used-there", "idle")]
        here.report_use(Use.OPEN, lambda session_id: session_id == names[0])
        there.report_use(Use.OPEN, lambda session_id: session_id == names[1])
        for bus in session_bus:
            assert set(await bus.used(names)) == set(names[:2])
        assert not await here.used([])

    async def test_uses_are_told_apart(self, session_bus: tuple[SessionBus, SessionBus]) -> None:
        here, there = session_bus
        there.report_use(Use.OPEN, lambda _: True)
        there.report_use(Use.CALLS, lambda session_id: session_id == SESSION)
        sessions = [SESSION, SessionId("with-a-stream")]
        assert set(await here.used(sessions, Use.CALLS)) == {SESSION}
        assert set(await here.used(sessions)) == set(sessions)


def listening(bus: EventBus, *kinds: type[DomainEvent]) -> tuple[list[DomainEvent], Callable[[], None]]:
    """Return the list of received events of these kinds, and the function that unsubscribes."""
    heard: list[DomainEvent] = []
    return heard, bus.subscribe(kinds, heard.append)


class TestEventBus:
    async def test_a_listener_hears_the_types_that_it_named_in_order(self, event_bus: EventBus) -> None:
        both, _ = listening(event_bus, ToolRegistered, PromptRegistered)
        one, _ = listening(event_bus, ToolRegistered)
        events = [ToolRegistered("a"), PromptRegistered("p"), ToolExecuted("t", False, 0.1), ToolRegistered("b")]
        for event in events:
            event_bus.publish(event)
        assert both == [events[0], events[1], events[3]]
        assert one == [events[0], events[3]]

    async def test_who_has_left_hears_nothing(self, event_bus: EventBus) -> None:
        gone, leave = listening(event_bus, ToolRegistered, PromptRegistered)
        staying, _ = listening(event_bus, ToolRegistered)
        leave()
        for event in (ToolRegistered("a"), PromptRegistered("p")):
            event_bus.publish(event)
        assert (gone, staying) == ([], [ToolRegistered("a")])

    async def test_a_listener_that_fails_hinders_neither_others_nor_the_publisher(self, event_bus: EventBus) -> None:
        def fail(_: DomainEvent) -> None:
            raise LookupError

        event_bus.subscribe([ToolRegistered], fail)
        heard, _ = listening(event_bus, ToolRegistered)
        event_bus.publish(ToolRegistered("a"))
        assert heard == [ToolRegistered("a")]

    async def test_nobody_needs_to_listen(self, event_bus: EventBus) -> None:
        event_bus.publish(ToolRegistered("a"))

    @pytest.mark.parametrize(
        "event",
        [
            *(ToolRegistered("ü"), ToolRemoved("a"), PromptRegistered("a"), PromptRemoved("a")),
            *(
                ResourceRegistered("a://b"),
                ResourceRemoved("a://b"),
                ResourceUpdated("a://b\n"),
                SessionClosed(SESSION),
                ReloadRequested("origin"),
            ),
        ],
    )
    async def test_what_concerns_other_processes_reaches_each_once(
        self, event_buses: tuple[EventBus, EventBus], event: DomainEvent
    ) -> None:
        here, there = event_buses
        (own, _), (heard, _) = listening(here, type(event)), listening(there, type(event), ToolRegistered)
        here.publish(event)
        await eventually(lambda: heard, "the event arrives")
        there.publish(ToolRegistered("afterwards"))
        await eventually(lambda: ToolRegistered("afterwards") in heard, "a later event arrives")
        assert (own[0], heard[0]) == (event, event)
        assert heard == [event, ToolRegistered("afterwards")]

    async def test_a_version_that_several_processes_detect_is_heard_of_once(
        self, shared_event_buses: tuple[EventBus, EventBus]
    ) -> None:
        here, there = shared_event_buses
        heard, _ = listening(there, ResourceUpdated, ToolRegistered)
        for version in ("1", "1", "2", "1"):
            here.publish(ResourceUpdated(f"a://{version}", version))
        here.publish(ToolRegistered("first"))
        await eventually(lambda: ToolRegistered("first") in heard, "the changes arrive")
        for event in (ResourceUpdated("a://2", "2"), ResourceUpdated("a://2", "3"), ResourceUpdated("a://2")):
            there.publish(event)
        assert heard == [
            *(ResourceUpdated("a://1"), ResourceUpdated("a://2"), ToolRegistered("first")),
            *(ResourceUpdated("a://2"), ResourceUpdated("a://2")),
        ]

    async def test_what_concerns_one_process_stays_in_it(self, shared_event_buses: tuple[EventBus, EventBus]) -> None:
        here, there = shared_event_buses
        heard, _ = listening(there, ToolExecuted, SessionCreated, ToolRegistered)
        for event in (ToolExecuted("t", False, 0.1), SessionCreated(SESSION, "1"), ToolRegistered("a")):
            here.publish(event)
        await eventually(lambda: heard, "the event arrives")
        assert heard == [ToolRegistered("a")]
