"""Safe texts of exceptions, even if an exception's own methods raise or its text is huge.

The exceptions come from third-party code such as plugins. Their texts go to logs and to the process owner, never to
clients. Knows no logger.
"""

import traceback
from contextlib import suppress

_MAX_MESSAGE = 100_000
_MAX_LINE = 2_000
_MAX_LINES = 400
_MAX_TEXT = 500
_NO_TEXT = "(its text cannot be shown)"
_TYPE_NAME = type.__dict__["__name__"].__get__  # a metaclass may have its own


def summary(problem: BaseException) -> str:
    """Return the type and the text of an exception on one line."""
    name, text = str(_TYPE_NAME(type(problem))), short_text(problem)
    return f"{name}: {text}" if text else name


def short_text(problem: BaseException) -> str:
    """Return the text of an exception on one line, truncated to 500 characters."""
    text = _NO_TEXT
    with suppress(BaseException):
        text = " ".join(str(problem)[: 2 * _MAX_TEXT].split())
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def sendable(message: str) -> str:
    """Return an error message for clients, without unpaired surrogates and truncated to 100,000 characters."""
    if len(message) > _MAX_MESSAGE:
        message = f"{message[:_MAX_MESSAGE]}…"
    return message.encode(errors="replace").decode()


def stack_trace(problem: BaseException) -> str:
    """Return the traceback of an exception and its causes, truncated to 400 lines of at most 2,000 characters."""
    lines: list[str] = []
    try:
        for part in traceback.TracebackException.from_exception(problem, compact=True).format():
            lines += [_cut(line) for line in part[: _MAX_LINES * _MAX_LINE].splitlines()]
            if len(lines) > _MAX_LINES:
                lines[_MAX_LINES:] = ["…"]
                break
    except BaseException:
        lines.append(summary(problem))
    return "\n".join(lines).encode(errors="backslashreplace").decode()


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"
