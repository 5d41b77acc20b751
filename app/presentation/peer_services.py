"""PeerServices: what all peers of one server share. Holds no state of a conversation."""

from dataclasses import dataclass

from app.application.budgets import Budget
from app.application.bus import Bus
from app.application.ports import SessionBus
from app.presentation.in_flight import InFlight
from app.presentation.middleware import Following
from app.presentation.protocol.handshake import HandshakeEra
from app.presentation.protocol.stateless import StatelessEra


@dataclass(frozen=True, slots=True)
class PeerServices:
    """What every peer of a server shares."""

    bus: Bus
    serve: Following
    handshake: HandshakeEra
    stateless: StatelessEra
    relay: SessionBus
    in_flight: InFlight
    responses: Budget
