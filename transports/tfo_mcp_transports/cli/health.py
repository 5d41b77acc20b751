"""`tfo-mcp health`: check whether the server of this configuration is ready, for container health checks."""

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address

import typer

from tfo_mcp.bootstrap import Settings
from tfo_mcp.value_objects import value_object
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption

_SECONDS = 3.0


@value_object
class ServerReadiness:
    """Whether a server is ready, its own word for that, and the names of the checks that fail."""

    is_ready: bool
    status: str
    failing: Sequence[str]


class NoAnswer(Exception):
    """No server answers at the address of a configuration; the message gives the address and the reason."""


def health(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Check whether the server on this machine is ready; the exit code is 1 if it is not ready or does not answer."""
    try:
        readiness = ask_readiness(settings_of(config))
    except NoAnswer as problem:
        report = {"status": "unreachable", "failing": [], "problem": str(problem)}
        raise CommandFailed(str(problem), report=report) from None
    if in_json:
        print(as_json({"status": readiness.status, "failing": readiness.failing}))
    else:
        print(" ".join([readiness.status, *readiness.failing]))
    if not readiness.is_ready:
        raise typer.Exit(1)


def ask_readiness(settings: Settings) -> ServerReadiness:
    """Return the readiness of the server at the configured address.

    Raises:
        NoAnswer: no server of ours answers there.
    """
    host, port = _reachable(settings.server.host), settings.server.port
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return ServerReadiness(answer.status == 200, str(told["status"]), [str(name) for name in told["failing"]])
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as problem:
        raise NoAnswer(f"{host}:{port} does not answer: {problem}") from None
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """Return the address at which a local client reaches a server that listens on `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
