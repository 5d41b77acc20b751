"""One file's way through the server: read by following the hints, edited at a random place, compared byte for byte.

The expected text and bytes are computed here with the interpreter's codecs only.
"""

import base64
import codecs
import random
import re
from pathlib import Path
from typing import Any

from tests.roundtrip.fixtures import Fixture
from tests.support.hints import next_arguments
from tests.support.stdio_client import StdioClient

SECONDS = 120.0
STATEFUL = ("iso2022", "hz")
REFUSAL = "this edit would change bytes of the text around it"
MARKS_16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
MARKS_32 = ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"))
MARKS = {
    None: (*MARKS_32, *MARKS_16),
    "utf-8-sig": ((codecs.BOM_UTF8, "utf-8"),),
    "utf-16": MARKS_16,
    "utf-32": MARKS_32,
}
LEAST_BYTES = 10_000  # that a call reads of a large file
LINE_END = re.compile(r"\r\n|\r|\n")


class DifferenceError(Exception):
    """A text or a file is not what it must be."""


class RoundTrip:
    """The round trip of one file.

    Args:
        client: a client of the server.
        root: the root directory of the server.
        fixture: the file.
        choice: chooses the place of the edit.
    """

    def __init__(self, client: StdioClient, root: Path, fixture: Fixture, choice: random.Random) -> None:
        self._client = client
        self._path = root / "file"
        self._fixture = fixture
        self._choice = choice
        self._named = {} if fixture.encoding is None else {"encoding": fixture.encoding}
        self._mark, self._codec = self._form()

    def run(self) -> str:
        """Return what happened: the file or the edit was refused, or the file was edited or only read.

        Raises:
            DifferenceError: something is not as it must be.
        """
        self._path.write_bytes(self._fixture.data)
        try:
            text = self._fixture.data[len(self._mark) :].decode(self._codec)
        except UnicodeError:
            return self._refused()
        if b"\0" in self._fixture.data and not self._codec.startswith(("utf-16", "utf-32")):
            self._read_binary()
            return "binary"
        self._require(self._read(), text, "the text that was read")
        if not text.strip("\r\n"):
            return "only read"
        return self._edit(text)

    def _form(self) -> tuple[bytes, str]:
        """Return the byte-order mark that is not part of the text, and the codec of the rest."""
        encoding, data = self._fixture.encoding, self._fixture.data
        unmarked = {None: "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
        codec = unmarked[encoding] if encoding is None else unmarked.get(encoding, encoding)
        return next((one for one in MARKS.get(encoding, ()) if data.startswith(one[0])), (b"", codec))

    def _call(self, tool: str, **arguments: object) -> dict[str, Any]:
        params = {"name": tool, "arguments": {"path": self._path.name, **arguments}}
        reply = self._client.call("tools/call", params, SECONDS)
        if "result" not in reply:
            raise DifferenceError(f"{tool}: {reply}")
        result: dict[str, Any] = reply["result"]
        return result

    def _read(self) -> str:
        texts: list[str] = []
        hint: dict[str, int] | None = {}
        most_calls = 2 + len(self._fixture.data) // LEAST_BYTES
        while hint is not None:
            result = self._call("read_file", **self._named, **hint)
            blocks = [block.get("text", "") for block in result["content"]]
            if result.get("isError") or len(texts) == most_calls:
                raise DifferenceError(f"read_file after {len(texts)} calls: {blocks[-1][:200]}")
            texts.append(blocks[0])
            hint = next_arguments(blocks)
        return "".join(texts)

    def _edit(self, text: str) -> str:
        """Replace up to three characters by a word, in a piece of text that occurs once."""
        first = self._choice.randrange(len(text))
        length = self._choice.randrange(4)
        end = first + length
        if LINE_END.search(text, first, end) or text[max(0, first - 1) : first + 1] == "\r\n":
            end = first = text.index(LINE_END.search(text, first)[0], first)  # type: ignore[index]
            first = end = first - (text[first - 1 : first + 1] == "\r\n")
        kinds = set(LINE_END.findall(text))
        kind = kinds.pop() if len(kinds) == 1 else None
        word = f"edit {self._choice.randrange(1000)}"
        lines = f"{word}\nline" if kind and self._choice.random() < 0.3 else word
        new = lines.replace("\n", kind or "\n")
        before, after = self._unique(text, first, end)
        old = text[before:first], text[first:end], text[end:after]
        given = ["".join(old), f"{old[0]}{lines}{old[2]}"]
        if kind is not None:
            given = [part.replace(kind, "\n") for part in given]
        result = self._call("edit_file", edits=[dict(zip(("old_text", "new_text"), given, strict=True))], **self._named)
        if result.get("isError"):
            said = result["content"][0]["text"]
            if REFUSAL not in said or not self._codec.startswith(STATEFUL):
                raise DifferenceError(f"edit_file at {first}: {said[:300]}")
            self._require(self._path.read_bytes(), self._fixture.data, "the file that was not edited")
            return "edit refused"
        self._compare(text, first, end, new)
        return "edited"

    def _unique(self, text: str, first: int, end: int) -> tuple[int, int]:
        """Return the ends of a piece of text around a place that occurs once, whatever its line ends are."""
        plain = LINE_END.sub("\n", text)
        margin = 8
        while True:
            before, after = max(0, first - margin), min(len(text), end + margin)
            before -= text[before - 1 : before + 1] == "\r\n"
            after += text[after - 1 : after + 1] == "\r\n"
            piece = LINE_END.sub("\n", text[before:after])
            place = plain.find(piece)
            if plain.find(piece, place + 1) < 0:
                return before, after
            margin *= 2

    def _compare(self, text: str, first: int, end: int, new: str) -> None:
        data, written = self._fixture.data, self._path.read_bytes()
        if self._codec.startswith(STATEFUL):
            whole = f"{text[:first]}{new}{text[end:]}"
            self._require(written.decode(self._codec), whole, "the edited text")
            lines = data.splitlines(keepends=True)
            line = text.count("\n", 0, first)
            head, tail = b"".join(lines[:line]), b"".join(lines[text.count("\n", 0, end) + 1 :])
            self._require((written[: len(head)], written[len(written) - len(tail) :]), (head, tail), "other lines")
            return
        start, stop = self._offset(text, first), self._offset(text, end)
        self._require(written, data[:start] + new.encode(self._codec) + data[stop:], "the edited file")

    def _offset(self, text: str, character: int) -> int:
        """Return the position of a character in the file, in bytes."""
        data = self._fixture.data[len(self._mark) :]
        if self._codec.startswith("utf-"):
            return len(self._mark) + len(text[:character].encode(self._codec))
        low, high = 0, len(data)
        while low < high:
            middle = (low + high) // 2
            if len(codecs.getincrementaldecoder(self._codec)().decode(data[:middle])) < character:
                low = middle + 1
            else:
                high = middle
        return low

    def _refused(self) -> str:
        """Check that a file that is not text in its encoding is not edited, and not read as text."""
        edits = [{"old_text": "e", "new_text": "edit", "replace_all": True}]
        self._require(self._call("edit_file", edits=edits, **self._named).get("isError"), True, "refusal of an edit")
        self._require(self._path.read_bytes(), self._fixture.data, "the refused file")
        self._read_binary()
        return "refused"

    def _read_binary(self) -> None:
        """Check that the file is refused under a named encoding, and otherwise comes back as binary data."""
        result = self._call("read_file", **self._named)
        if self._named:
            self._require(result.get("isError"), True, "refusal of a read")
            return
        (block,) = result["content"]
        data = block["resource"]["blob"] if block["type"] == "resource" else block["data"]
        self._require(base64.b64decode(data), self._fixture.data, "the binary data")

    @staticmethod
    def _require(found: object, expected: object, what: str) -> None:
        if found != expected:
            raise DifferenceError(f"{what}: {repr(found)[:150]} instead of {repr(expected)[:150]}")
