"""The Prompt entity: a named message template with arguments, and the function that renders it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from tfo_mcp.domain.content import Content, Icon, Role
from tfo_mcp.value_objects import value_object

Completer = Callable[[str, Mapping[str, str], Any], Awaitable[Iterable[str]]]
"""Takes the partial value, the other arguments and the request's context; returns suggested values."""


@value_object
class PromptArgument:
    """One parameter of a prompt; its value is always a string."""

    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False


@value_object
class PromptMessage:
    """One message of a rendered prompt."""

    role: Role
    content: Content


@value_object
class RenderedPrompt:
    """The result of rendering a prompt with its arguments."""

    messages: tuple[PromptMessage, ...]
    description: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


PromptFunction = Callable[[Mapping[str, str], Any], Awaitable[RenderedPrompt]]
"""Takes the arguments and the request's context."""


@value_object
class Prompt:
    """A prompt: its listed metadata and the function that renders it."""

    name: str
    render: PromptFunction
    title: str | None = None
    description: str | None = None
    arguments: tuple[PromptArgument, ...] = ()
    icons: tuple[Icon, ...] = ()
    completers: Mapping[str, Completer] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.name
