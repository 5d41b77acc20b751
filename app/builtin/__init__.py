"""The built-in tools, resources and prompts, written only with `app.plugins`, as anybody would write their own.

`MODULES` names the modules to load. Nothing here knows an adapter, a transport or a revision: files, commands, the
model and the configuration come from the context.
"""

from app.builtin import commands, conversation, echo, files, prompts, resources, system

MODULES = (echo, files, commands, system, conversation, resources, prompts)
