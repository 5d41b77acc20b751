"""Commands that run confined: the adapter of the port CommandRunner.

`runner` implements the port, `permission` decides which commands are allowed, and `policies` what each command can
access. `output` reads the outputs with bounded memory, and `output_store` keeps truncated outputs readable for an hour.
Must not know how a program is confined: `infrastructure.sandbox` does that.
"""

from tfo_mcp.infrastructure.commands.permission import Permission
from tfo_mcp.infrastructure.commands.policies import CommandRights
from tfo_mcp.infrastructure.commands.runner import CommandLimits, ConfinedCommands

__all__ = ["CommandLimits", "CommandRights", "ConfinedCommands", "Permission"]
