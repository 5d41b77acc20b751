"""Fingerprints of errors: errors of one cause get one name, stable over time, operations and messages.

An error is known by its service, its exception type and the innermost frame of its stack trace that belongs to the
program; without a frame, by its masked message. Line numbers do not count, so that a fingerprint survives an edit.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from tfo_mcp.analysis.masks import masked
from tfo_mcp.application.ports.telemetry_store import ErrorShape

_PYTHON = re.compile(r'^[ \t]*File "([^"\n]{1,300})", line \d+, in (\S{1,200})', re.MULTILINE)
_JAVA = re.compile(r"^[ \t]*at ([\w.$/<>@]{1,300})\([^)\n]{0,200}\)", re.MULTILINE)
_NODE = re.compile(r"^[ \t]*at (?:async )?([^\s(]{1,200}) \(([^)\n]{1,300}?):\d+:\d+\)", re.MULTILINE)
_GO_FILE = re.compile(r"\t(\S{1,300}):\d+")
_LIBRARIES = re.compile(
    r"site-packages|dist-packages|lib/python|node_modules|node:|<frozen|/usr/local/go/|^runtime\.|/pkg/mod/"
    r"|^(?:java|javax|jakarta|jdk|sun|com\.sun|org\.springframework|org\.apache|org\.hibernate|io\.netty)[./]"
)
_MOST_CHARACTERS = 20_000


@dataclass(slots=True, eq=False)
class ErrorGroup:
    """Errors with one fingerprint; texts and trace are those of the latest, times are nanoseconds."""

    fingerprint: str
    service: str
    exception_type: str
    message: str
    frame: str
    operations: list[str]
    count: int
    first: int
    last: int
    trace_id: str


def grouped_errors(shapes: Iterable[ErrorShape]) -> Sequence[ErrorGroup]:
    """Return the groups of errors, the most frequent first."""
    groups: dict[str, ErrorGroup] = {}
    for shape in shapes:
        frame = program_frame(shape.stacktrace)
        name = fingerprint(shape.service, shape.exception_type, shape.message, frame)
        group = groups.get(name)
        if group is None:
            texts = (name, shape.service, shape.exception_type, shape.message, frame)
            groups[name] = ErrorGroup(*texts, [shape.operation], shape.count, shape.first, shape.last, shape.trace_id)
            continue
        if shape.last > group.last:
            group.message, group.trace_id, group.last = shape.message, shape.trace_id, shape.last
        if shape.operation not in group.operations:
            group.operations.append(shape.operation)
        group.count += shape.count
        group.first = min(group.first, shape.first)
    return sorted(groups.values(), key=lambda group: (-group.count, -group.last))


def fingerprint(service: str, exception_type: str, message: str, frame: str) -> str:
    """Return 12 hexadecimal digits that name the cause of an error."""
    cause = frame or masked(message.partition("\n")[0], 300)
    return sha256("\0".join((service, exception_type, cause)).encode(errors="backslashreplace")).hexdigest()[:12]


def program_frame(stacktrace: str) -> str:
    """Return the innermost frame that is no library's, of a trace of Python, Java, Node or Go; empty if unknown."""
    text = stacktrace[-_MOST_CHARACTERS:]
    if frames := _PYTHON.findall(text):
        return _own([f"{path}:{function}" for path, function in reversed(frames)])
    if frames := _NODE.findall(text):
        return _own([f"{path}:{function}" for function, path in frames])
    if frames := _JAVA.findall(text):
        return _own([frame.rpartition("/")[2] for frame in frames])
    return _own(list(_go_frames(text)))


def _go_frames(text: str) -> Iterator[str]:
    """Yield the frames of a trace of Go: a line with the call, and one with a tab, the file and the line number."""
    for call, place in pairwise(text.split("\n")):
        found = _GO_FILE.match(place)
        function = call.rpartition("(")[0]
        if found is not None and function:
            yield f"{found[1]}:{function}"


def _own(frames: Sequence[str]) -> str:
    return next((frame for frame in frames if not _LIBRARIES.search(frame)), frames[0] if frames else "")
