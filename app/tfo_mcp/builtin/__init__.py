"""The built-in tools, resources and prompts, written with the public plugin API (`tfo_mcp.plugins`) only.

`MODULES` lists the modules to load. The modules know no adapter, transport or protocol revision. They reach files,
commands, the language model and the configuration through the context. The package `telemetry` has modules of its own,
which are loaded if there is a telemetry store.
"""

from tfo_mcp.builtin import commands, conversation, echo, prompts, read, resources, search, status, system, write

MODULES_BENEATH_ROOTS = (read, write, search, commands, resources)
"""Modules that need at least one root directory; without roots they are not loaded."""
MODULES_ANYWHERE = (echo, system, conversation, status, prompts)
MODULES = (*MODULES_ANYWHERE, *MODULES_BENEATH_ROOTS)
FILE_MODULES = (read, write, search)
CODING_MODULES = (*FILE_MODULES, commands)
