"""Rendering: converts domain values into protocol objects of a revision.

Owns field names, base64 and the fallbacks for features that a revision lacks. `validation` checks the results against
the official protocol types. Unsupported content blocks are converted to supported ones, never dropped.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from tfo_mcp.domain.content import (
    Annotations,
    Audio,
    Content,
    EmbeddedResource,
    Icon,
    Image,
    ResourceContents,
    ResourceLink,
    Text,
    TextContents,
)
from tfo_mcp.domain.events import Change, ResourceUpdated, Topic
from tfo_mcp.domain.prompt import Prompt, PromptMessage, RenderedPrompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.skill import Skill, SkillEntry
from tfo_mcp.domain.tool import ABSENT, Tool, ToolHints, ToolResult
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.protocol.revisions import Feature, Revision

JsonObject = dict[str, Any]
_CHANGE_METHODS: Mapping[Topic, str] = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
    "resource": "notifications/resources/updated",
}


def tool(entity: Tool, revision: Revision) -> JsonObject:
    """Return a tool as an entry of tools/list."""
    shown: JsonObject = {"name": entity.name, "inputSchema": dict(entity.input_schema)}
    _add_description(shown, entity.title, entity.description, entity.icons, revision)
    if entity.hints is not None and revision.has(Feature.TOOL_HINTS):
        shown["annotations"] = _hints(entity.hints, None if revision.has(Feature.TITLES) else entity.title)
    if entity.output_schema is not None and _is_shown(entity.output_schema.get("type") == "object", revision):
        shown["outputSchema"] = dict(entity.output_schema)
    _add_meta(shown, entity.meta, revision)
    return shown


def tool_result(result: ToolResult, revision: Revision) -> JsonObject:
    """Return the result of tools/call."""
    shown: JsonObject = {"content": [content(block, revision) for block in result.content], "isError": result.is_error}
    if result.structured is not ABSENT and _is_shown(isinstance(result.structured, Mapping), revision):
        shown["structuredContent"] = result.structured
    if result.meta:
        shown["_meta"] = dict(result.meta)
    return shown


def text_result(result: ToolResult, revision: Revision) -> bytes | None:
    """Return the members of the result of tools/call as JSON without braces, if its content is one plain text.

    Most results of tools are such. They are valid by construction, so that no schema has to accept them.

    Returns:
        None if the result has other content or metadata.

    Raises:
        ValueError: the structured output contains something that JSON cannot represent.
    """
    if len(result.content) != 1 or result.meta:
        return None
    block = result.content[0]
    if not (isinstance(block, Text) and isinstance(block.text, str)) or block.annotations is not None or block.meta:
        return None
    is_error = b"true" if result.is_error else b"false"
    members = b'"content":[{"type":"text","text":%b}],"isError":%b' % (jsonrpc.encode_value(block.text), is_error)
    if result.structured is ABSENT or not _is_shown(isinstance(result.structured, Mapping), revision):
        return members
    return b'%b,"structuredContent":%b' % (members, jsonrpc.encode_value(result.structured))


def _is_shown(is_object: bool, revision: Revision) -> bool:
    """Return whether the revision supports this structured output: early revisions allow objects only."""
    return revision.has(Feature.ANY_STRUCTURE) or (is_object and revision.has(Feature.STRUCTURED_OUTPUT))


def resource(entity: Resource, revision: Revision) -> JsonObject:
    """Return a resource as an entry of resources/list."""
    shown: JsonObject = {"uri": entity.uri, "name": entity.name}
    _add_description(shown, entity.title, entity.description, entity.icons, revision)
    _add_present(shown, mimeType=entity.mime_type, size=entity.size, annotations=_annotations(entity.annotations))
    _add_meta(shown, entity.meta, revision)
    return shown


def resource_template(entity: ResourceTemplate, revision: Revision) -> JsonObject:
    """Return a template as an entry of resources/templates/list."""
    shown: JsonObject = {"uriTemplate": entity.uri_template, "name": entity.name}
    _add_description(shown, entity.title, entity.description, entity.icons, revision)
    _add_present(shown, mimeType=entity.mime_type, annotations=_annotations(entity.annotations))
    _add_meta(shown, entity.meta, revision)
    return shown


def resource_contents(contents: ResourceContents, revision: Revision) -> JsonObject:
    """Return the contents of a resource; binary contents are base64-encoded."""
    shown: JsonObject = {"uri": contents.uri}
    _add_present(shown, mimeType=contents.mime_type)
    if isinstance(contents, TextContents):
        shown["text"] = contents.text
    else:
        shown["blob"] = b64encode(contents.data).decode()
    _add_meta(shown, contents.meta, revision)
    return shown


def skill(entity: Skill) -> JsonObject:
    """Return a skill as an entry of skills/list."""
    return {
        "uri": entity.uri,
        "frontmatter": dict(entity.frontmatter),
        "resources": [
            {"uri": entity.uri_of(file.path), "digest": f"sha256:{file.sha256}", "size": file.size}
            for file in entity.files
        ],
    }


def skill_document(entity: Skill) -> JsonObject:
    """Return the document of a skill as an entry of resources/list."""
    name, description = entity.name, entity.description
    return {"uri": entity.uri, "name": name, "description": description, "mimeType": "text/markdown"}


def skill_entry(entry: SkillEntry) -> JsonObject:
    """Return an entry of a skill's directory as an entry of resources/directory/read."""
    shown: JsonObject = {"uri": entry.uri, "name": entry.name}
    _add_present(shown, mimeType="inode/directory" if entry.size is None else None, size=entry.size)
    return shown


def prompt(entity: Prompt, revision: Revision) -> JsonObject:
    """Return a prompt as an entry of prompts/list."""
    shown: JsonObject = {"name": entity.name}
    _add_description(shown, entity.title, entity.description, entity.icons, revision)
    arguments = []
    for argument in entity.arguments:
        described: JsonObject = {"name": argument.name, "required": argument.required}
        _add_description(described, argument.title, argument.description, (), revision)
        arguments.append(described)
    shown["arguments"] = arguments
    _add_meta(shown, entity.meta, revision)
    return shown


def rendered_prompt(rendered: RenderedPrompt, revision: Revision) -> JsonObject:
    """Return the result of prompts/get."""
    shown: JsonObject = {"messages": prompt_messages(rendered.messages, revision)}
    _add_present(shown, description=rendered.description)
    if rendered.meta:
        shown["_meta"] = dict(rendered.meta)
    return shown


def prompt_messages(messages: Sequence[PromptMessage], revision: Revision) -> list[JsonObject]:
    """Return prompt messages, each with its role and content."""
    return [{"role": message.role, "content": content(message.content, revision)} for message in messages]


def content(block: Content, revision: Revision) -> JsonObject:
    """Return a content block; types that the revision lacks fall back to one that it supports."""
    shown: JsonObject
    match block:
        case Text(text):
            shown = {"type": "text", "text": text}
        case Image(data, mime_type):
            shown = {"type": "image", "data": b64encode(data).decode(), "mimeType": mime_type}
        case Audio(data, mime_type) if revision.has(Feature.AUDIO):
            shown = {"type": "audio", "data": b64encode(data).decode(), "mimeType": mime_type}
        case Audio(data, mime_type):
            blob = {"uri": "data:,", "mimeType": mime_type, "blob": b64encode(data).decode()}
            shown = {"type": "resource", "resource": blob}
        case EmbeddedResource(contents):
            shown = {"type": "resource", "resource": resource_contents(contents, revision)}
        case ResourceLink() as link if revision.has(Feature.RESOURCE_LINKS):
            shown = _link(link)
        case ResourceLink() as link:
            shown = {"type": "text", "text": f"{link.title or link.name}: {link.uri}"}
    if block.annotations is not None:
        shown["annotations"] = _annotations(block.annotations)
    _add_meta(shown, block.meta, revision)
    return shown


def change_notification(change: Change) -> tuple[str, JsonObject | None]:
    """Return the method and the params of the notification about a change."""
    params = {"uri": change.uri} if isinstance(change, ResourceUpdated) else None
    return _CHANGE_METHODS[change.topic], params


def server_capabilities(revision: Revision, extensions: Mapping[str, JsonObject] | None = None) -> JsonObject:
    """Return the server's capabilities in this revision, with its extensions and their settings."""
    capabilities: JsonObject = {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "logging": {},
    }
    if revision.has(Feature.COMPLETIONS_CAPABILITY):
        capabilities["completions"] = {}
    if extensions and revision.has(Feature.METADATA):
        capabilities["extensions"] = dict(extensions)
    return capabilities


def _link(link: ResourceLink) -> JsonObject:
    shown: JsonObject = {"type": "resource_link", "uri": link.uri, "name": link.name}
    _add_present(shown, title=link.title, description=link.description, mimeType=link.mime_type, size=link.size)
    return shown


def _hints(hints: ToolHints, title: str | None) -> JsonObject:
    """Return the hints of a tool, without those that mean nothing for it or have the protocol's default value.

    Hosts ask for confirmation by `readOnlyHint` and `destructiveHint`: these are explicit.
    """
    shown: JsonObject = {"readOnlyHint": hints.read_only}
    if not hints.read_only:
        shown["destructiveHint"] = hints.destructive
        _add_present(shown, idempotentHint=hints.idempotent or None)
    _add_present(shown, openWorldHint=None if hints.open_world else False, title=title)
    return shown


def _annotations(annotations: Annotations | None) -> JsonObject | None:
    if annotations is None:
        return None
    shown: JsonObject = {"audience": list(annotations.audience)} if annotations.audience else {}
    _add_present(shown, priority=annotations.priority, lastModified=annotations.last_modified)
    return shown


def _add_description(
    shown: JsonObject, title: str | None, description: str | None, icons: Sequence[Icon], revision: Revision
) -> None:
    if revision.has(Feature.TITLES):
        _add_present(shown, title=title)
    _add_present(shown, description=description)
    if icons and revision.has(Feature.ICONS):
        shown["icons"] = [_icon(icon) for icon in icons]


def _add_meta(shown: JsonObject, meta: Mapping[str, Any], revision: Revision) -> None:
    if meta and revision.has(Feature.METADATA):
        shown["_meta"] = dict(meta)


def _icon(icon: Icon) -> JsonObject:
    shown: JsonObject = {"src": icon.src}
    _add_present(shown, mimeType=icon.mime_type, sizes=list(icon.sizes) or None, theme=icon.theme)
    return shown


def _add_present(shown: JsonObject, **fields: Any) -> None:
    shown.update((name, value) for name, value in fields.items() if value is not None)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a parsed JSON object, otherwise an empty mapping."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Any]:
    """Return the value if it is a list, otherwise an empty sequence."""
    return value if isinstance(value, list | tuple) else ()
