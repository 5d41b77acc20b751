"""The encoding of a text file: a codec and a byte-order mark.

Owns which codec a named encoding means for a file that begins with certain bytes. The byte-order mark of a file
outranks the named encoding if both are encodings of Unicode: text in the named one would not begin with those bytes.
Must not know files.
"""

import codecs
import sys
from collections.abc import Callable
from functools import lru_cache

from tfo_mcp.domain.errors import NotText
from tfo_mcp.value_objects import value_object

MARK_BYTES = 4
"""Length of the longest byte-order mark."""
_MARK = "\ufeff"
_UTF8 = "utf-8"
_NAMED_CHARACTERS = 5
_FAMILY = len("utf-16")  # characters of a codec's name that tell the families of Unicode encodings apart
_NATIVE = "le" if sys.byteorder == "little" else "be"
_WITHOUT_MARK = {"utf-8-sig": _UTF8, "utf-16": f"utf-16-{_NATIVE}", "utf-32": f"utf-32-{_NATIVE}"}
_MARKS = (  # the mark of UTF-32, little endian, begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, _UTF8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class BinaryData(UnicodeError):
    """The data has zero bytes, which text does not have."""


@value_object
class TextEncoding:
    """The encoding of one file.

    `name` is the encoding that was asked for. `codec` is a Python codec that neither reads nor writes a mark. `mark` is
    the mark at the beginning of the file that is not part of the text; it is empty if there is none, or if the named
    encoding makes it the first character. `is_detected`: the mark is of another family than the name.
    """

    name: str
    codec: str
    mark: bytes = b""
    is_detected: bool = False

    @property
    def label(self) -> str:
        """The encoding in which the file is read, for messages."""
        return f"{self.codec} (its byte-order mark)" if self.is_detected else self.name

    @property
    def is_wide(self) -> bool:
        """Whether zero bytes are normal in this encoding."""
        return self.codec.startswith(("utf-16", "utf-32"))

    def decode(self, data: bytes) -> str:
        """Return the text of a whole file, without the mark.

        Raises:
            UnicodeError: the data is not text in this encoding.
        """
        return data[len(self.mark) :].decode(self.codec)

    def decode_end(self, data: bytes) -> str:
        """Return the text of the last bytes of a file, as far as they are text; they begin at a multiple of four."""
        return data.decode(self.codec, "ignore")

    def decode_text(self, data: bytes, decode: Callable[[bytes], str]) -> str:
        """Return the text of part of a file, and refuse zeros: bytes, or characters where such bytes are normal.

        Args:
            data: part of the file, without the mark.
            decode: the codec's decoder.

        Raises:
            BinaryData: there are zeros. A wide encoding that was named is not checked.
            UnicodeError: the data is not text in this encoding.
        """
        if not self.is_wide and b"\0" in data:
            raise BinaryData
        text = decode(data)
        if self.is_detected and "\0" in text:
            raise BinaryData
        return text

    def decode_whole_text(self, data: bytes) -> str:
        """Return the text of a whole file, without the mark; see `decode_text`."""
        return self.decode_text(data[len(self.mark) :], lambda part: part.decode(self.codec))


@lru_cache(maxsize=256)
def encoding_of(beginning: bytes, name: str) -> TextEncoding:
    """Return the encoding of a file.

    Args:
        beginning: the first bytes of the file, `MARK_BYTES` if it has as many.
        name: name of a Python codec. Every mark outranks utf-8, as no text in UTF-8 begins with those bytes.

    Raises:
        LookupError: there is no such codec.
    """
    name = codecs.lookup(name).name
    codec = _WITHOUT_MARK.get(name, name)
    for mark, marked in _MARKS:
        is_detected = marked[:_FAMILY] != codec[:_FAMILY]
        if beginning.startswith(mark) and (codec == _UTF8 or not is_detected):
            is_hidden = is_detected or name in _WITHOUT_MARK
            return TextEncoding(name, marked, mark if is_hidden else b"", is_detected)
    return TextEncoding(name, codec)


def text_of(data: bytes, *, is_whole: bool = True) -> str | None:
    """Return the text of a file in UTF-8 or in the encoding of its byte-order mark, None if it is not text.

    Args:
        data: the contents of the file, or its first bytes.
        is_whole: whether the data is all of the file; otherwise its last character may be incomplete.
    """
    encoding = encoding_of(data[:MARK_BYTES], _UTF8)
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    try:
        return encoding.decode_text(data[len(encoding.mark) :], lambda part: decoder.decode(part, is_whole))
    except UnicodeError:
        return None


def encoded(text: str, name: str) -> bytes:
    """Return the data of a new file, with a mark if the named encoding has one.

    Raises:
        UnicodeError: the encoding does not have some of the characters.
    """
    return _exact(text.removeprefix(_MARK) if name in _WITHOUT_MARK else text, name)


def encoded_addition(text: str, beginning: bytes, name: str) -> bytes:
    """Return the data to append to a file that begins with certain bytes; it has no mark of its own.

    Raises:
        UnicodeError: the encoding does not have some of the characters.
        NotText: the file has the mark of another encoding, in which the data would be other text.
    """
    encoding = encoding_of(beginning, name)
    marked = encoding_of(beginning, "utf-8-sig")
    text = text.removeprefix(_MARK) if encoding.mark else text
    data = _exact(text, encoding.codec)
    if marked.mark and data != text.encode(marked.codec):
        raise NotText(f"the file begins with the byte-order mark of {marked.codec}: append in that encoding")
    return data


def unencodable(text: str, codec: str) -> str:
    """Return the first characters of a text that an encoding does not have, at most 5, as a list for a message."""
    missing: list[str] = []
    for char in dict.fromkeys(text):
        try:
            _exact(char, codec)
        except UnicodeError:
            missing.append(f"{char} (U+{ord(char):04X})" if char.isprintable() else f"U+{ord(char):04X}")
            if len(missing) == _NAMED_CHARACTERS:
                break
    return ", ".join(missing) or "some of the characters"


def _exact(text: str, codec: str) -> bytes:
    """Encode; some codecs encode characters to bytes that they decode to others, such as a yen sign in Shift JIS."""
    data = text.encode(codec)
    if data.decode(codec) != text:
        raise UnicodeError("some characters would be read back as others")
    return data
