"""Questions that handlers may ask the client, and the client's answers.

Value objects only. The eras decide how a question is sent: as a server request, or as `input_required` with a retry.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tfo_mcp.domain.content import Audio, Image, Role, Text
from tfo_mcp.domain.prompt import PromptMessage
from tfo_mcp.value_objects import value_object

CapabilityName = Literal["elicitation", "sampling", "roots"]
SampleContent = Text | Image | Audio


@value_object
class ClientCapabilities:
    """The declared client capabilities that the server uses.

    `forms` and `urls` are the elicitation modes; `extensions` the identifiers of the extensions that the client
    supports, and `extension_settings` their settings as a JSON object by identifier, empty if there are none.
    """

    elicitation: bool = False
    forms: bool = False
    urls: bool = False
    sampling: bool = False
    roots: bool = False
    extensions: tuple[str, ...] = ()
    extension_settings: str = ""

    def supports(self, capability: CapabilityName | str) -> bool:
        """Return whether the client declared the capability, or the extension with this identifier."""
        match capability:
            case "elicitation":
                return self.elicitation
            case "sampling":
                return self.sampling
            case "roots":
                return self.roots
            case _:
                return capability in self.extensions

    def extension(self, identifier: str) -> dict[str, Any] | None:
        """Return the settings that the client declared for an extension, None if it does not support it."""
        if identifier not in self.extensions:
            return None
        settings = json.loads(self.extension_settings) if self.extension_settings else {}
        found: dict[str, Any] = settings.get(identifier, {})
        return found


NO_CAPABILITIES = ClientCapabilities()
"""The capabilities of a client that declared none."""


@value_object
class Elicit:
    """Ask the user to fill in a form.

    `schema` is a flat JSON Schema object of primitive properties, or a dataclass or pydantic model with such fields.
    """

    message: str
    schema: dict[str, Any] | type


@value_object
class ElicitUrl:
    """Ask the user to visit a URL, for data that must not pass through the client (credentials, payments)."""

    message: str
    url: str


@value_object
class Sample:
    """Ask the client's model to continue a conversation with at most `max_tokens` tokens."""

    messages: Sequence[PromptMessage]
    max_tokens: int
    system_prompt: str | None = None
    temperature: float | None = None
    stop_sequences: tuple[str, ...] = ()


@value_object
class ListRoots:
    """Ask which directories the client works in."""


Question = Elicit | ElicitUrl | Sample | ListRoots


@value_object
class Elicited:
    """The user's response to a form or URL; `content` is set if a form was accepted.

    `value` is then the content as an object, if the form is a class.
    """

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = None
    value: Any = None


@value_object
class Sampled:
    """The message that the client's model generated."""

    role: Role
    content: SampleContent
    model: str
    stop_reason: str | None = None


@value_object
class ClientRoot:
    """A directory that the client works in, as a file: URI."""

    uri: str
    name: str | None = None


@value_object
class Roots:
    """The directories that the client works in."""

    roots: tuple[ClientRoot, ...]


Answer = Elicited | Sampled | Roots


class InputRequired(BaseException):
    """Ends a running call that needs client input. A BaseException, so that `except Exception` does not swallow it."""

    def __init__(self, questions: Mapping[str, Question]) -> None:
        super().__init__("input required")
        self.questions = questions


def required_capability(question: Question) -> dict[str, Any]:
    """Return the capabilities that a client must declare for `question`, mapped to their settings."""
    match question:
        case Elicit():
            return {"elicitation": {}}
        case ElicitUrl():
            return {"elicitation": {"url": {}}}
        case Sample():
            return {"sampling": {}}
        case ListRoots():
            return {"roots": {}}
