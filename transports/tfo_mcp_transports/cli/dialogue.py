"""The dialogue with a person at the terminal, on standard error: forms of tools, and the progress of calls."""

import sys
from collections.abc import Mapping
from typing import Any

import typer

from tfo_mcp.presentation.protocol.rendering import mapping
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.form_fields import FormField
from tfo_mcp_transports.cli.terminal_text import one_line

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
            CallFailed: the question is not a form, or has a field that cannot be checked.
        """
        self.end()
        params = mapping(question.get("params"))
        if question.get("method") != "elicitation/create" or "requestedSchema" not in params:
            raise CallFailed(f"The tool asks for {question.get('method')}, which the command line cannot give")
        print(one_line(params.get("message", "")), file=sys.stderr)
        fields = _fields(params["requestedSchema"])
        try:
            if not typer.confirm("Answer?", default=True, err=True):
                return {"action": "decline"}
            content = {field.name: _ask(field) for field in fields}
        except typer.Abort:
            return {"action": "cancel"}
        return {"action": "accept", "content": {name: value for name, value in content.items() if value is not None}}


def _fields(schema: Mapping[str, Any]) -> list[FormField]:
    properties, required = mapping(schema.get("properties")), schema.get("required") or ()
    try:
        return [FormField(name, mapping(field), is_required=name in required) for name, field in properties.items()]
    except ValueError as problem:
        raise CallFailed(f"The form of the tool is not valid: {one_line(problem)}") from None


def _ask(field: FormField) -> Any:
    """Ask for one field until its text is a value of it; None for an optional field that is left empty."""
    if field.is_switch:
        return typer.confirm(field.label, default=field.default == "True", err=True)
    for line in field.titles:
        print(line, file=sys.stderr)
    default = field.default if field.default is not None or field.is_required else ""
    while True:
        text = typer.prompt(field.label, default=default, err=True)
        if text == "" and not field.is_required:
            return None
        try:
            return field.value(text)
        except ValueError as problem:
            print(one_line(f"{field.name}: {problem}"), file=sys.stderr)
