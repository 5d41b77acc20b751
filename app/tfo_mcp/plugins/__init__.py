"""The public API for plugins: custom tools, resources and prompts.

Decorators turn typed functions into tools, resources and prompts. The setting `mcp.plugins` names the modules to load.
This package knows the application's context and domain values, but no protocol message and no transport.
"""

from tfo_mcp.application.commands import ConversationReply
from tfo_mcp.application.ports import (
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
    Program,
    TextPart,
    Write,
    Written,
)
from tfo_mcp.domain.content import (
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
from tfo_mcp.domain.errors import FileMissing, FileTooLarge, MissingScope, NotText
from tfo_mcp.domain.errors import OperationFailed as ToolError
from tfo_mcp.domain.interaction import (
    ClientRoot,
    Elicit,
    Elicited,
    ElicitUrl,
    ListRoots,
    Roots,
    Sample,
    Sampled,
)
from tfo_mcp.domain.media_types import IMAGE_BLOCK_TYPES, recognized_type
from tfo_mcp.domain.prompt import PromptMessage, RenderedPrompt
from tfo_mcp.domain.text_codec import text_of
from tfo_mcp.domain.tool import ToolHints, ToolResult
from tfo_mcp.plugins.context import Context, SyncContext
from tfo_mcp.plugins.decorators import assistant, prompt, resource, tool, user
from tfo_mcp.plugins.lifespans import lifespan

__all__ = [
    "IMAGE_BLOCK_TYPES",
    "Annotations",
    "Audio",
    "BlobContents",
    "ClientRoot",
    "CommandOutcome",
    "Contents",
    "Context",
    "ConversationReply",
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
    "MissingScope",
    "Names",
    "NotText",
    "Output",
    "Program",
    "PromptMessage",
    "RenderedPrompt",
    "ResourceLink",
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
    "lifespan",
    "prompt",
    "recognized_type",
    "resource",
    "text_of",
    "tool",
    "user",
]
