"""Links that add a server to a host when they are opened. Knows neither files nor the command line."""

import base64
import json
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from tfo_mcp_transports.cli.hosts.entries import Entry, Launch, standard_entry, typed_entry
from tfo_mcp_transports.cli.hosts.registry import HostName


def _encoded(launch: Launch) -> str:
    """Return the query of the links that carry their entry in base64."""
    entry = _compact(standard_entry(launch)).encode()
    return urlencode({"name": launch.name, "config": base64.b64encode(entry).decode()})


def _compact(value: Entry) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_LINKS: Mapping[HostName, Callable[[Launch], str]] = {
    "cursor": lambda launch: f"cursor://anysphere.cursor-deeplink/mcp/install?{_encoded(launch)}",
    "lm-studio": lambda launch: f"lmstudio://add_mcp?{_encoded(launch)}",
    "vscode": lambda launch: (
        f"vscode:mcp/install?{quote(_compact({'name': launch.name, **typed_entry(launch)}), safe='')}"
    ),
}


def deeplink(host: HostName, launch: Launch) -> str | None:
    """Return the link that adds the server to a host, None if the host has no such links."""
    make = _LINKS.get(host)
    return None if make is None else make(launch)
