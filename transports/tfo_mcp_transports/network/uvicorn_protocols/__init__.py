"""uvicorn's protocols for HTTP and WebSocket, with the limits that uvicorn lacks (docs/adr/0007, 0017).

The protocols know HTTP and WebSocket, the transport below them knows bytes, and the table knows connections. None of
them knows a JSON-RPC message.
"""

from tfo_mcp_transports.network.uvicorn_protocols.connections import EXTRA_CONNECTIONS
from tfo_mcp_transports.network.uvicorn_protocols.http import limited_http
from tfo_mcp_transports.network.uvicorn_protocols.limits import ConnectionLimits
from tfo_mcp_transports.network.uvicorn_protocols.websocket import LimitedWebSocket

__all__ = ["EXTRA_CONNECTIONS", "ConnectionLimits", "LimitedWebSocket", "limited_http"]
