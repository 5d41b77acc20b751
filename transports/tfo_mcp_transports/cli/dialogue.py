"""The dialogue with a person at the terminal, on standard error: forms of tools, and the progress of calls."""

import sys
from collections.abc import Mapping
from typing import Any

import typer

from tfo_mcp_transports.cli.failures import CommandFailed

_LARGEST = 1e300
_ERASE_LINE = "\r\x1b[K"


class CallFailed(CommandFailed):
    """The request has failed; the message gives the reason."""


class Dialogue:
    """Answers questions and shows progress, where standard input and standard error are terminals."""

    def __init__(self) -> None:
        self.shows_progress = sys.stderr.isatty()
        self.can_answer = self.shows_progress and sys.stdin is not None and sys.stdin.isatty()
        self._has_line = False

    def notified(self, message: Mapping[str, Any]) -> None:
        """Show a notification if it is progress."""
        if not self.shows_progress or message.get("method") != "notifications/progress":
            return
        params = message.get("params")
        if not isinstance(params, Mapping):
            return
        figures = [params[name] for name in ("progress", "total") if params.get(name) is not None]
        if not figures or not all(isinstance(figure, int | float) and abs(figure) < _LARGEST for figure in figures):
            return
        shown, text = "/".join(f"{figure:g}" for figure in figures), params.get("message", "")
        print(f"{_ERASE_LINE}{shown} {one_line(text)}"[:200], end="", file=sys.stderr, flush=True)
        self._has_line = True

    def end(self) -> None:
        """Erase the line of progress before results are printed."""
        if self._has_line:
            print(_ERASE_LINE, end="", file=sys.stderr, flush=True)
            self._has_line = False

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the person and return the response.

        Raises:
            CallFailed: the question is not a form.
        """
        self.end()
        params = question.get("params", {})
        if question.get("method") != "elicitation/create" or "requestedSchema" not in params:
            raise CallFailed(f"The tool asks for {question.get('method')}, which the command line cannot give")
        print(one_line(params.get("message", "")), file=sys.stderr)
        schema = params["requestedSchema"]
        required = schema.get("required", ())
        try:
            if not typer.confirm("Answer?", default=True, err=True):
                return {"action": "decline"}
            content = {name: _field(name, field, name in required) for name, field in schema["properties"].items()}
        except typer.Abort:
            return {"action": "cancel"}
        return {"action": "accept", "content": {name: value for name, value in content.items() if value is not None}}


def _field(name: str, schema: Mapping[str, Any], required: bool) -> Any:
    """Ask for one field until its text is a value of its type; an optional field can be left empty."""
    kind = schema.get("type")
    if kind == "boolean":
        return typer.confirm(_label(name, schema), default=bool(schema.get("default", False)), err=True)
    while True:
        default = schema.get("default", ... if required else "")
        text = typer.prompt(_label(name, schema), default=None if default is ... else default, err=True)
        if text == "" and not required:
            return None
        try:
            return _value(str(text), schema)
        except ValueError as problem:
            print(f"{name}: {problem}", file=sys.stderr)


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    kind, choices = schema.get("type"), schema.get("enum")
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    value: Any = int(text) if kind == "integer" else float(text) if kind == "number" else text
    if choices is not None and value not in choices:
        raise ValueError(f"one of {', '.join(map(str, choices))}")
    return value


def _label(name: str, schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum") or (schema.get("items") or {}).get("enum")
    shown = f" ({'/'.join(map(str, choices))})" if choices else ""
    description = schema.get("title") or schema.get("description")
    return f"{name}{shown}" + (f": {one_line(description)}" if description else "")


def one_line(text: object) -> str:
    """Return text from a tool for one line of a terminal: without control characters."""
    return "".join(character if character.isprintable() else " " for character in str(text))
