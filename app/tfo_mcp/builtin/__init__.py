"""The built-in tools, resources and prompts, written with the public plugin API (`tfo_mcp.plugins`) only.

`MODULES` names the modules, which `loaded` imports: not before a client asks for what they define, since their schemas
are built at import. The modules know no adapter, transport or protocol revision. They reach files, commands, the
language model and the configuration through the context. `TELEMETRY_MODULES` are loaded if there is a telemetry store.
"""

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

FILE_MODULES = ("read", "write", "search")
CODING_MODULES = (*FILE_MODULES, "commands")
MODULES_BENEATH_ROOTS = (*CODING_MODULES, "resources")
"""Modules that need at least one root directory; without roots they are not loaded."""
MODULES_ANYWHERE = ("echo", "system", "conversation", "status", "prompts")
MODULES = (*MODULES_ANYWHERE, *MODULES_BENEATH_ROOTS)
TELEMETRY_MODULES = (
    "telemetry.overview",
    "telemetry.fields",
    "telemetry.traces",
    "telemetry.logs",
    "telemetry.metrics",
    "telemetry.aggregates",
    "telemetry.comparison",
    "telemetry.service_map",
    "telemetry.sql",
    "telemetry.resources",
    "telemetry.server_usage",
    "telemetry.prompts",
)


def loaded(names: Iterable[str]) -> tuple[ModuleType, ...]:
    """Import the named modules of this package, and return them."""
    return tuple(import_module(f"{__name__}.{name}") for name in names)
