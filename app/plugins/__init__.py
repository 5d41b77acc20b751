"""What the author of a custom tool imports.

Plain typed functions become tools, resources and prompts by a decorator; `mcp.plugins` names the modules to load. This
package knows the application's context and the domain's values, no wire message and no transport.
"""

from app.domain.content import (
    Annotations,
    Audio,
    BlobContents,
    EmbeddedResource,
    Icon,
    Image,
    ResourceLink,
    Text,
    TextContents,
)
from app.domain.errors import OperationFailed as ToolError
from app.domain.interaction import (
    Elicit,
    Elicited,
    ElicitUrl,
    ListRoots,
    Root,
    Roots,
    Sample,
    Sampled,
)
from app.domain.prompt import PromptMessage
from app.domain.tool import ToolHints, ToolResult
from app.plugins.context import Context, SyncContext
from app.plugins.decorators import assistant, prompt, resource, tool, user

__all__ = [
    "Annotations",
    "Audio",
    "BlobContents",
    "Context",
    "Elicit",
    "ElicitUrl",
    "Elicited",
    "EmbeddedResource",
    "Icon",
    "Image",
    "ListRoots",
    "PromptMessage",
    "ResourceLink",
    "Root",
    "Roots",
    "Sample",
    "Sampled",
    "SyncContext",
    "Text",
    "TextContents",
    "ToolError",
    "ToolHints",
    "ToolResult",
    "assistant",
    "prompt",
    "resource",
    "tool",
    "user",
]
