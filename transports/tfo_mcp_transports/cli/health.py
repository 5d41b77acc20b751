"""`tfo-mcp health`: check whether the server of this configuration is ready, for container health checks."""

import json
import sys
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address

import typer

from tfo_mcp.bootstrap import Settings
from tfo_mcp_transports.cli.options import ConfigOption, settings_of

_SECONDS = 3.0


class NoAnswer(Exception):
    """No server answers at the address of a configuration; the message gives the address and the reason."""


def health(config: ConfigOption = None) -> None:
    """Check whether the server on this machine is ready; the exit code is 1 if it is not ready or does not answer."""
    try:
        is_ready, words = ask_readiness(settings_of(config))
    except NoAnswer as problem:
        print(f"tfo-mcp: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(words)
    if not is_ready:
        raise typer.Exit(1)


def ask_readiness(settings: Settings) -> tuple[bool, str]:
    """Return whether the server at the configured address is ready, and its status with the checks that fail.

    Raises:
        NoAnswer: no server of ours answers there.
    """
    host, port = _reachable(settings.server.host), settings.server.port
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return answer.status == 200, " ".join([told["status"], *told["failing"]])
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
