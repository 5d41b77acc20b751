"""Questions: encodes the server's questions as requests, and decodes the client's answers into domain values.

The request formats are the same in both eras. The eras decide how the requests are sent.
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, assert_never

from pydantic import FileUrl

from tfo_mcp.domain.content import Audio, Image, Text
from tfo_mcp.domain.errors import InvalidAnswer, MissingCapability
from tfo_mcp.domain.interaction import (
    NO_CAPABILITIES,
    Answer,
    ClientCapabilities,
    ClientRoot,
    Elicit,
    Elicited,
    ElicitUrl,
    ListRoots,
    Question,
    Roots,
    Sample,
    SampleContent,
    Sampled,
    required_capability,
)
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.extensions import declared_extensions, settings_of
from tfo_mcp.presentation.protocol.rendering import JsonObject, mapping
from tfo_mcp.presentation.protocol.revisions import Feature, Revision
from tfo_mcp.presentation.protocol.validation import InvalidShape, check_answer


def client_capabilities(declared: Mapping[str, Any]) -> ClientCapabilities:
    """Return the declared capabilities that the server uses, whether or not the client's revision defines them."""
    if not declared:
        return NO_CAPABILITIES
    elicitation = declared.get("elicitation")
    modes = mapping(elicitation)
    extensions = declared_extensions(declared)
    flags = ClientCapabilities(
        elicitation=isinstance(elicitation, Mapping),
        forms=isinstance(elicitation, Mapping) and (not modes or "form" in modes),  # an empty object means form mode
        urls="url" in modes,
        sampling=isinstance(declared.get("sampling"), Mapping),
        roots=isinstance(declared.get("roots"), Mapping),
        extensions=extensions,
        extension_settings=settings_of(declared, extensions),
    )
    return NO_CAPABILITIES if flags == NO_CAPABILITIES else flags


def require(capabilities: ClientCapabilities, question: Question, revision: Revision) -> None:
    """Check that the client declared the capability that the question needs.

    Raises:
        MissingCapability: the client did not declare it.
    """
    match question:
        case Elicit():
            has = capabilities.forms
        case ElicitUrl():
            has = capabilities.urls and revision.has(Feature.ELICITATION_MODES)
        case Sample():
            has = capabilities.sampling
        case ListRoots():
            has = capabilities.roots
        case _:
            assert_never(question)
    if not has:
        raise MissingCapability(required_capability(question))


def encode(question: Question, revision: Revision, identifier: str) -> tuple[str, JsonObject]:
    """Return the method and the params of a question; `identifier` is used as the elicitation id of a URL."""
    match question:
        case Elicit(message, schema):
            form: JsonObject = {"message": message, "requestedSchema": schema}
            return "elicitation/create", {"mode": "form", **form} if revision.has(Feature.ELICITATION_MODES) else form
        case ElicitUrl(message, url):
            link: JsonObject = {"mode": "url", "message": message, "url": url}
            return "elicitation/create", {**link, "elicitationId": identifier} if revision.handshake else link
        case Sample():
            return "sampling/createMessage", _sample(question, revision)
        case ListRoots():
            return "roots/list", {}
        case _:
            assert_never(question)


def decode(question: Question, answer: object, key: str) -> Answer:
    """Return the client's answer as a domain value; `key` identifies the question in error messages.

    Raises:
        InvalidAnswer: the answer does not fit the question.
    """
    try:
        match question:
            case Elicit() | ElicitUrl():
                elicited = check_answer("elicitation/create", answer)
                return Elicited(elicited["action"], elicited.get("content"))
            case Sample():
                sampled = check_answer("sampling/createMessage", answer)
                content = _sampled(sampled["content"])
                return Sampled(sampled["role"], content, sampled["model"], sampled.get("stopReason"))
            case ListRoots():
                listed = check_answer("roots/list", answer)
                return Roots(tuple(ClientRoot(str(FileUrl(root["uri"])), root.get("name")) for root in listed["roots"]))
            case _:
                assert_never(question)
    except (InvalidShape, ValueError):
        raise InvalidAnswer(f"The answer to {key!r} does not fit the question") from None


def _sample(question: Sample, revision: Revision) -> JsonObject:
    params: JsonObject = {
        "messages": rendering.prompt_messages(question.messages, revision),
        "maxTokens": question.max_tokens,
    }
    if question.system_prompt is not None:
        params["systemPrompt"] = question.system_prompt
    if question.temperature is not None:
        params["temperature"] = question.temperature
    if question.stop_sequences:
        params["stopSequences"] = list(question.stop_sequences)
    return params


def _sampled(block: Mapping[str, Any]) -> SampleContent:
    if "text" in block:
        return Text(block["text"])
    data, mime_type = b64decode(block["data"], validate=True), block["mimeType"]
    return Audio(data, mime_type) if block.get("type") == "audio" else Image(data, mime_type)
