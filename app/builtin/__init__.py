"""The built-in tools, resources and prompts, written only with `app.plugins`, as anybody would write their own.

`MODULES` names the modules to load. Nothing here knows an adapter, a transport or a revision: files, commands, the
model and the configuration come from the context.
"""

from app.builtin import commands, conversation, echo, finding, prompts, reading, resources, system, writing

MODULES = (echo, reading, writing, finding, commands, system, conversation, resources, prompts)
