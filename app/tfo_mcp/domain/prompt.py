"""The Prompt entity: a named message template with arguments, and the function that renders it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfo_mcp.domain.content import Content, Icon, Role

Completer = Callable[[str, Mapping[str, str], Any], Awaitable[Iterable[str]]]
"""Takes the partial value, the other arguments and the request's context; returns suggested values."""


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """One parameter of a prompt; its value is always a string."""

    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a rendered prompt."""

    role: Role
    content: Content


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """The result of rendering a prompt with its arguments."""

    messages: tuple[PromptMessage, ...]
    description: str | None = None


PromptFunction = Callable[[Mapping[str, str], Any], Awaitable[RenderedPrompt]]
"""Takes the arguments and the request's context."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: its listed metadata and the function that renders it."""

    name: str
    render: PromptFunction
    title: str | None = None
    description: str | None = None
    arguments: tuple[PromptArgument, ...] = ()
    icons: tuple[Icon, ...] = ()
    completers: Mapping[str, Completer] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.name
