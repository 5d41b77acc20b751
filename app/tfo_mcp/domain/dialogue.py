"""The content of conversations with a language model: blocks, messages, and their form as plain JSON values.

Value objects only. `Text` and `Image` are those of tools and prompts; the others exist in conversations only. Knows no
model and no format of a provider.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from tfo_mcp.domain.content import Image, Role, Text
from tfo_mcp.domain.ids import MessageId
from tfo_mcp.value_objects import value_object


@value_object
class Document:
    """A document for the model: PDF, or plain text."""

    data: bytes
    mime_type: str
    title: str


@value_object
class Thinking:
    """The model's thinking; the signature lets the provider verify it when it is sent back."""

    text: str
    signature: str


@value_object
class RedactedThinking:
    """Thinking that only the provider can read."""

    data: str


@value_object
class ToolUse:
    """The model's request to call a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@value_object
class ToolAnswer:
    """The result of a tool that the model has asked for."""

    tool_use_id: str
    content: tuple[Text | Image, ...]
    is_error: bool = False


Block = Text | Image | Document | Thinking | RedactedThinking | ToolUse | ToolAnswer


@value_object
class ConversationMessage:
    """One message with its role and its blocks."""

    id: MessageId
    role: Role
    content: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, Text))

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tools that the message asks for."""
        return tuple(block for block in self.content if isinstance(block, ToolUse))

    def joined(self, blocks: Sequence[Block]) -> "ConversationMessage":
        """Return the message with more blocks at its end."""
        return replace(self, content=(*self.content, *blocks))

    def document(self) -> dict[str, Any]:
        """Return the message as plain JSON values."""
        return {"id": self.id, "role": self.role, "content": [_document(block) for block in self.content]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ConversationMessage":
        """Return the message that `document` describes."""
        return cls(MessageId(document["id"]), document["role"], tuple(map(_block, document["content"])))

    @property
    def size(self) -> int:
        """Approximate number of bytes."""
        return size_of(self.content)


def size_of(content: Sequence[Block]) -> int:
    """Return the approximate number of bytes of blocks."""
    return sum(map(_size, content))


def _document(block: Block) -> dict[str, Any]:
    shown: dict[str, Any]
    match block:
        case Text(text):
            shown = {"type": "text", "text": text}
        case Image(data, mime_type):
            shown = {"type": "image", "data": b64encode(data).decode(), "mime_type": mime_type}
        case Document(data, mime_type, title):
            encoded = b64encode(data).decode()
            shown = {"type": "document", "data": encoded, "mime_type": mime_type, "title": title}
        case Thinking(text, signature):
            shown = {"type": "thinking", "text": text, "signature": signature}
        case RedactedThinking(opaque):
            shown = {"type": "redacted_thinking", "data": opaque}
        case ToolUse(use_id, name, arguments):
            shown = {"type": "tool_use", "id": use_id, "name": name, "arguments": dict(arguments)}
        case ToolAnswer(use_id, content, is_error):
            answered = [_document(part) for part in content]
            shown = {"type": "tool_result", "tool_use_id": use_id, "content": answered, "is_error": is_error}
        case _:
            assert_never(block)
    return shown


def _block(document: Mapping[str, Any]) -> Block:
    block: Block
    match document["type"]:
        case "image":
            block = _image(document)
        case "document":
            block = Document(b64decode(document["data"]), document["mime_type"], document["title"])
        case "thinking":
            block = Thinking(document["text"], document["signature"])
        case "redacted_thinking":
            block = RedactedThinking(document["data"])
        case "tool_use":
            block = ToolUse(document["id"], document["name"], document["arguments"])
        case "tool_result":
            parts = (_image(part) if part["type"] == "image" else Text(part["text"]) for part in document["content"])
            block = ToolAnswer(document["tool_use_id"], tuple(parts), document["is_error"])
        case _:
            block = Text(document["text"])
    return block


def _image(document: Mapping[str, Any]) -> Image:
    return Image(b64decode(document["data"]), document["mime_type"])


def _size(block: Block) -> int:
    match block:
        case Text(text):
            return len(text)
        case Image() | Document():
            return len(block.data)
        case Thinking(text, signature):
            return len(text) + len(signature)
        case RedactedThinking(opaque):
            return len(opaque)
        case ToolUse(_, name, arguments):
            return len(name) + len(str(arguments))
        case ToolAnswer(_, content):
            return size_of(content)
        case _:
            assert_never(block)
