"""What the author of a custom tool imports.

Plain typed functions become tools, resources and prompts by a decorator; `mcp.plugins` names the modules to load. This
package knows the application's context and the domain's values, no wire message and no transport.
"""

from app.application.ports import (
    Command,
    CommandOutcome,
    Contents,
    Edit,
    Edited,
    FileEntry,
    FileInfo,
    FileRoot,
    Filter,
    Lines,
    Listing,
    Match,
    Matches,
    Names,
    Output,
    TextPart,
    Write,
    Written,
)
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
from app.domain.errors import FileMissing, FileTooLarge, NotText
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
    "Command",
    "CommandOutcome",
    "Contents",
    "Context",
    "Edit",
    "Edited",
    "Elicit",
    "ElicitUrl",
    "Elicited",
    "EmbeddedResource",
    "FileEntry",
    "FileInfo",
    "FileMissing",
    "FileRoot",
    "FileTooLarge",
    "Filter",
    "Icon",
    "Image",
    "Lines",
    "ListRoots",
    "Listing",
    "Match",
    "Matches",
    "Names",
    "NotText",
    "Output",
    "PromptMessage",
    "ResourceLink",
    "Root",
    "Roots",
    "Sample",
    "Sampled",
    "SyncContext",
    "Text",
    "TextContents",
    "TextPart",
    "ToolError",
    "ToolHints",
    "ToolResult",
    "Write",
    "Written",
    "assistant",
    "prompt",
    "resource",
    "tool",
    "user",
]
