"""Fields of a form at the terminal: their labels and choices, and the values that a person's text stands for.

Prints nothing. The field is one of the primitive schemas of elicitation (client/elicitation of the specification).
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from tfo_mcp.presentation.protocol.rendering import items, mapping
from tfo_mcp.presentation.protocol.validation import field_check
from tfo_mcp_transports.cli.terminal_text import one_line


class FormField:
    """A field of a form.

    Args:
        name: its name in the form.
        schema: its JSON Schema.
        is_required: whether it must have a value.

    Raises:
        ValueError: the schema is invalid.
    """

    def __init__(self, name: str, schema: Mapping[str, Any], *, is_required: bool) -> None:
        self.name = name
        self.is_required = is_required
        self._schema = schema
        self._problems = field_check(name, schema)
        self._is_list = schema.get("type") == "array"
        self._choices = _choices(mapping(schema.get("items")) if self._is_list else schema)

    @property
    def is_switch(self) -> bool:
        """Whether the answer is yes or no."""
        return self._schema.get("type") == "boolean"

    @property
    def default(self) -> str | None:
        """The default as a person would write it; None without one."""
        value = self._schema.get("default")
        if value is None:
            return None
        return one_line(", ".join(map(str, value)) if isinstance(value, list) else value)

    @property
    def label(self) -> str:
        """The name, the choices and the description, in one line."""
        shown = f" ({'/'.join(self._choices)})" if self._choices else ""
        several = ", several with commas" if self._is_list else ""
        description = self._schema.get("title") or self._schema.get("description")
        return one_line(f"{self.name}{shown}{several}" + (f": {description}" if description else ""))

    @property
    def titles(self) -> list[str]:
        """A line for each choice that has a title."""
        return [one_line(f"  {text}: {title}") for text, (_, title) in self._choices.items() if title]

    def value(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            ValueError: the text is no value of the field; the message says why.
        """
        value = self._parsed(text.strip() if self._is_list or self._schema.get("type") != "string" else text)
        if problems := self._problems(value):
            raise ValueError(problems)
        return value

    def _parsed(self, text: str) -> Any:
        if self._is_list:
            return [self._chosen(part) if self._choices else part for part in self._parts(text)]
        if self._choices:
            return self._chosen(text)
        return _PARSERS.get(str(self._schema.get("type")), str)(text)

    def _parts(self, text: str) -> list[str]:
        """Return the texts of a list: one choice, a JSON array, or parts between commas."""
        if text in self._choices:
            return [text]
        try:
            parts = json.loads(text)
        except ValueError:
            parts = None
        if not isinstance(parts, list):
            parts = text.split(",")
        return [str(part).strip() for part in parts if str(part).strip()]

    def _chosen(self, text: str) -> Any:
        """Return the choice with this value, else the one with this title."""
        if text in self._choices:
            return self._choices[text][0]
        for value, title in self._choices.values():
            if title.casefold() == text.strip().casefold():
                return value
        raise ValueError(f"{text!r} is not one of {', '.join(self._choices)}")


def _choices(schema: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return the value and the title of each choice by the value as text; titles can be empty."""
    titled = [each for each in (*items(schema.get("oneOf")), *items(schema.get("anyOf"))) if "const" in mapping(each)]
    if titled:
        return {str(each["const"]): (each["const"], str(each.get("title") or "")) for each in titled}
    names = items(schema.get("enumNames"))  # of revisions before titled choices
    values = items(schema.get("enum"))
    titles = names if len(names) == len(values) else [""] * len(values)
    return {str(value): (value, str(title)) for value, title in zip(values, titles, strict=True)}


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("write a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("write a number")
    return value


_PARSERS: Mapping[str, Any] = {"integer": _whole, "number": _number}
