"""`tfo-mcp health`: check whether the server of this configuration is ready, for container health checks."""

import json
import sys
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address

import typer

from tfo_mcp_transports.cli.options import ConfigOption, settings_of

_SECONDS = 3.0


def health(config: ConfigOption = None) -> None:
    """Check whether the server on this machine is ready; the exit code is 1 if it is not ready or does not answer."""
    section = settings_of(config).server
    host = _reachable(section.host)
    connection = HTTPConnection(host, section.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as problem:
        print(f"tfo-mcp: {host}:{section.port} does not answer: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None
    finally:
        connection.close()
    print(" ".join([told["status"], *told["failing"]]))
    if answer.status != 200:
        raise typer.Exit(1)


def _reachable(host: str) -> str:
    """Return the address at which a local client reaches a server that listens on `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
