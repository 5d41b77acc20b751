"""MCP hosts: where each one keeps its servers, in which format, and how an entry is added, removed or linked."""

from tfo_mcp_transports.cli.hosts.deeplinks import deeplink
from tfo_mcp_transports.cli.hosts.entries import Launch, launch_of, standard_entry
from tfo_mcp_transports.cli.hosts.files import put, remove
from tfo_mcp_transports.cli.hosts.locations import HostFileError, Locations
from tfo_mcp_transports.cli.hosts.registry import HOSTS, NAME, Host, HostName

__all__ = [
    "HOSTS",
    "NAME",
    "Host",
    "HostFileError",
    "HostName",
    "Launch",
    "Locations",
    "deeplink",
    "launch_of",
    "put",
    "remove",
    "standard_entry",
]
