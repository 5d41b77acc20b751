"""Commands, run confined: the CommandRunner adapter.

`runner` fulfils the port, `policies` says what each command may reach, `output` drains what commands write without
keeping more than a little of it in memory, `saved` keeps the rest readable for a while, `permission` says which
commands may be run at all. How a program is confined is the affair of the sandbox beneath.
"""

from tfo_mcp.infrastructure.commands.permission import Permission
from tfo_mcp.infrastructure.commands.policies import CommandRights
from tfo_mcp.infrastructure.commands.runner import CommandLimits, ConfinedCommands

__all__ = ["CommandLimits", "CommandRights", "ConfinedCommands", "Permission"]
