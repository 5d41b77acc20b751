"""Runs the store process: the store, its OTLP receivers, and their common end."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
import uvicorn

from tfo_mcp.bootstrap import ConfigurationError, Logging, Settings, sender_key, store_lock, store_process
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.network.host_validation import Guards
from tfo_mcp_transports.network.uvicorn_protocols import ConnectionLimits, limited_http
from tfo_mcp_transports.otlp.exports import SenderKey
from tfo_mcp_transports.otlp.grpc import OtlpGrpc
from tfo_mcp_transports.otlp.http import OtlpHttp

_log = structlog.get_logger("tfo_mcp.telemetry")
_CONNECTIONS = 512
_END_SECONDS = 3
_PRIVATE = 0o077


def run_store(settings: Settings) -> bool:
    """Run the store process to its end; return False at once if there is one already.

    Raises:
        ConfigurationError: a setting, the file of the store or an address cannot be used.
    """
    os.umask(_PRIVATE)
    with store_lock() as is_ours:
        if not is_ours:
            return False
        key = SenderKey(sender_key(settings))
        section = settings.logging
        name = "tfo-mcp-telemetry"
        with Logging(section.level, section.format, name, settings.telemetry.environment), event_loop() as loop:
            loop.run(_run(settings, key))
        return True


async def _run(settings: Settings, key: SenderKey) -> None:
    process = store_process(settings)
    section = settings.telemetry
    limits = ConnectionLimits(_CONNECTIONS, _CONNECTIONS, section.max_request_bytes)
    app = Guards(OtlpHttp(process.submit, key, section.max_request_bytes), settings.server.allowed_hosts, ())
    http = _HttpServer(uvicorn.Config(app, http=limited_http(limits), **_QUIET), limits)
    grpc = OtlpGrpc(process.submit, key, section.max_request_bytes)
    notices: list[str] = []
    try:
        listener = _listen(section.otlp_host, section.otlp_http_port, notices)
        grpc_port = _start_grpc(grpc, section.otlp_host, section.otlp_grpc_port, notices)
        urls = _url(section.otlp_host, listener.getsockname()[1]), _url(section.otlp_host, grpc_port)
        process.receives_at(*urls, notices, key_required=sender_key(settings) is not None)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, process.stop)
        _log.info("telemetry is received", http=urls[0], grpc=urls[1])
        with _serving(http, listener):
            await process.run()
            http.should_exit = True
            await asyncio.to_thread(grpc.stop)
    finally:
        await asyncio.to_thread(process.close)


_QUIET: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "lifespan": "off",
    "ws": "none",
    "timeout_graceful_shutdown": _END_SECONDS,
}


class _HttpServer(uvicorn.Server):
    """uvicorn's server without its signal handlers, which enforces the limits of connections."""

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        super().__init__(config)
        self._limits = limits

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the store process."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit` is set."""
        keeping = asyncio.create_task(self._limits.keep())
        try:
            await super().serve(sockets)
        finally:
            keeping.cancel()


@contextmanager
def _serving(http: _HttpServer, listener: socket.socket) -> Iterator[None]:
    serving = asyncio.create_task(http.serve([listener]))
    try:
        yield
    finally:
        http.should_exit = True
        serving.add_done_callback(lambda done: done.cancelled() or done.exception())


def _listen(host: str, port: int, notices: list[str]) -> socket.socket:
    """Return a listening socket; on another port if this one is in use, with a notice.

    Raises:
        ConfigurationError: the host cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError):
        return socket.create_server((host, port), family=family)
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError as problem:
        raise ConfigurationError((f"telemetry.otlp_host: cannot listen on {host}: {problem.strerror}",)) from None
    notices.append(_taken("OTLP over HTTP", port, listener.getsockname()[1]))
    return listener


def _start_grpc(grpc: OtlpGrpc, host: str, port: int, notices: list[str]) -> int:
    with suppress(OSError):
        return grpc.start(host, port)
    try:
        chosen = grpc.start(host, 0)
    except OSError as problem:
        raise ConfigurationError((f"telemetry.otlp_host: {problem}",)) from None
    notices.append(_taken("OTLP over gRPC", port, chosen))
    return chosen


def _taken(name: str, port: int, chosen: int) -> str:
    return f"Port {port} was in use, so that {name} is received on port {chosen}"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
