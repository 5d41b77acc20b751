"""initialize, ping, shutdown, logging/setLevel and server/discover."""

from collections.abc import Mapping
from dataclasses import field

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.commands import DrainSession, InitializeSession, SetLogLevel
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.rendering import JsonObject, mapping
from tfo_mcp.presentation.protocol.revisions import STATELESS_VERSIONS
from tfo_mcp.value_objects import value_object


@value_object
class Identity:
    """The server's name, title, version, instructions and extensions with their settings, as sent to clients."""

    name: str
    title: str
    version: str
    instructions: str
    extensions: Mapping[str, JsonObject] = field(default_factory=dict)


class LifecycleMethods:
    """Handles the methods that open, configure and end conversations; `ttl_ms` is the cache hint of discovery."""

    def __init__(self, bus: Bus, identity: Identity, ttl_ms: int) -> None:
        self._bus = bus
        self._identity = identity
        self._ttl_ms = ttl_ms

    async def initialize(self, call: Call) -> bytes:
        """Answer initialize: open a session that speaks the call's revision."""
        client = mapping(call.params.get("clientInfo"))
        session = await self._bus.handle(
            InitializeSession(
                call.caller.name,
                call.facts.account,
                call.revision.version,
                call.capabilities,
                str(client.get("name", "")),
                str(client.get("version", "")),
                call.correlation.standing,
            )
        )
        call.correlation.session_id = session.id
        return call.era.finish(
            call,
            {
                "protocolVersion": call.revision.version,
                "capabilities": rendering.server_capabilities(call.revision, self._identity.extensions),
                "serverInfo": server_info(self._identity),
                **self._instructions(),
            },
        )

    async def discover(self, call: Call) -> bytes:
        """Answer server/discover."""
        return call.era.finish(
            call,
            {
                "supportedVersions": list(STATELESS_VERSIONS),
                "capabilities": rendering.server_capabilities(call.revision, self._identity.extensions),
                **self._instructions(),
            },
            ttl_ms=self._ttl_ms,
            shared=True,
        )

    async def ping(self, call: Call) -> bytes:
        """Answer ping."""
        return call.era.finish(call, {})

    async def shutdown(self, call: Call) -> bytes:
        """Answer shutdown: drain the session; it ends when its requests in flight have ended."""
        assert call.session is not None
        await self._bus.handle(DrainSession(call.session.id))
        call.ends_session = True
        return call.era.finish(call, {})

    async def set_level(self, call: Call) -> bytes:
        """Answer logging/setLevel."""
        assert call.session is not None
        await self._bus.handle(SetLogLevel(call.session.id, call.params["level"]))
        return call.era.finish(call, {})

    def _instructions(self) -> JsonObject:
        return {"instructions": self._identity.instructions} if self._identity.instructions else {}


def server_info(identity: Identity) -> JsonObject:
    """Return the server's name and version as every revision shows them."""
    return {"name": identity.name, "title": identity.title, "version": identity.version}
