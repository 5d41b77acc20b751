"""UserContent: builds the user's message from a prompt, resources and text. Knows no conversation and no model.

Resources are read as the caller, so that scopes and roots apply. Text of resources becomes a document, which the model
gets as data and not as instructions.
"""

from collections.abc import Sequence

from tfo_mcp.application.commands import SendMessage
from tfo_mcp.application.queries import GetPrompt, ReadResource
from tfo_mcp.domain.content import (
    Content,
    EmbeddedResource,
    Image,
    ResourceContents,
    ResourceLink,
    Text,
    TextContents,
)
from tfo_mcp.domain.dialogue import Block, Document
from tfo_mcp.domain.errors import InvalidParams, NotFound, OperationFailed
from tfo_mcp.domain.text import shortened, with_whole_characters

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF = "application/pdf"
_MOST_RESOURCES = 20


async def user_content(command: SendMessage) -> list[Block]:
    """Return the blocks of the user's message.

    Raises:
        OperationFailed: the prompt or a resource cannot be used; the message says why.
    """
    if command.text is None and command.prompt is None:
        raise OperationFailed("Give a message, or the name of a prompt")
    if len(command.resources) > _MOST_RESOURCES:
        raise OperationFailed(f"resources: {len(command.resources)} are too many; the maximum is {_MOST_RESOURCES}")
    blocks: list[Block] = []
    for uri in command.resources:
        blocks += await _resource_blocks(uri, command)
    if command.prompt is not None:
        blocks += await _prompt_blocks(command.prompt, command)
    if command.text is not None:
        blocks.append(Text(str(with_whole_characters(command.text))))
    return blocks


async def _resource_blocks(uri: str, command: SendMessage) -> list[Block]:
    try:
        contents = await command.context.bus.handle(ReadResource(uri, command.context))
    except (NotFound, InvalidParams) as problem:
        raise OperationFailed(f"resources: {problem.message}") from None
    return [_of_contents(part) for part in contents]


async def _prompt_blocks(name: str, command: SendMessage) -> Sequence[Block]:
    try:
        rendered = await command.context.bus.handle(GetPrompt(name, command.prompt_arguments, command.context))
    except (NotFound, InvalidParams) as problem:
        raise OperationFailed(f"prompt: {problem.message}") from None
    if any(message.role != "user" for message in rendered.messages):
        raise OperationFailed(f"The prompt {shortened(name)} contains replies of the assistant: it cannot be sent")
    return [_of_prompt(message.content) for message in rendered.messages]


def _of_contents(contents: ResourceContents) -> Block:
    if isinstance(contents, TextContents):
        return Document(contents.text.encode(errors="replace"), "text/plain", contents.uri)
    if contents.mime_type in _IMAGES:
        return Image(contents.data, contents.mime_type)
    if contents.mime_type == _PDF:
        return Document(contents.data, _PDF, contents.uri)
    raise OperationFailed(
        f"{shortened(contents.uri)} is {contents.mime_type or 'binary'}: the model takes text, PDF, and PNG, JPEG, GIF "
        "or WebP images"
    )


def _of_prompt(content: Content) -> Block:
    match content:
        case Text(text):
            return Text(str(with_whole_characters(text)))
        case Image() if content.mime_type in _IMAGES:
            return content
        case EmbeddedResource(resource):
            return _of_contents(resource)
        case ResourceLink(uri):
            return Text(uri)
        case _:
            raise OperationFailed(f"The prompt contains {content.mime_type}, which the model does not take")
