"""PeerServices: the dependencies that all peers of one server share. Contains no per-conversation state."""

from tfo_mcp.application.budgets import Budget
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.ports import SessionBus
from tfo_mcp.presentation.in_flight import InFlight
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.handshake import HandshakeEra
from tfo_mcp.presentation.protocol.stateless import StatelessEra
from tfo_mcp.presentation.session_drain import SessionDrain
from tfo_mcp.value_objects import value_object


@value_object
class PeerServices:
    """Shared dependencies of the peers; `serve` runs a call through the dispatcher."""

    bus: Bus
    serve: Next
    handshake: HandshakeEra
    stateless: StatelessEra
    relay: SessionBus
    drain: SessionDrain
    in_flight: InFlight
    responses: Budget
