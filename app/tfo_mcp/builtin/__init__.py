"""The built-in tools, resources and prompts, written only with `tfo_mcp.plugins`, as anybody would write their own.

`MODULES` names the modules to load. Nothing here knows an adapter, a transport or a revision: files, commands, the
model and the configuration come from the context.
"""

from tfo_mcp.builtin import commands, conversation, echo, finding, prompts, reading, resources, status, system, writing

MODULES_BENEATH_ROOTS = (reading, writing, finding, commands, resources)
"""Those whose tools and resources work beneath roots, and are not offered without any."""
MODULES_ANYWHERE = (echo, system, conversation, status, prompts)
MODULES = (*MODULES_ANYWHERE, *MODULES_BENEATH_ROOTS)
