"""Parameter types that several file tools share: paths, encodings, digests and result limits."""

import codecs
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from tfo_mcp.plugins import ToolError

_NO_FILE_CODECS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"})  # slow, or unsafe
_LONGEST_NAME = 40  # of an encoding
_DIGEST = re.compile("[0-9A-Fa-f]{64}")


def _digest(value: str | None) -> str | None:
    if value is not None and not _DIGEST.fullmatch(value):
        raise ValueError("expected 64 hexadecimal digits")
    return value


Path = Annotated[str, Field(min_length=1, description="Relative to the first root, absolute, or a file: URI.")]
Encoding = Annotated[str, Field(description="Text encoding.")]
CreateDirs = Annotated[bool, Field(description="Create missing parent directories.")]
Digest = Annotated[
    str | None,
    AfterValidator(_digest),
    Field(description="SHA-256 that the file must have (see file_info)."),
]
MostResults = Annotated[int | None, Field(ge=1, description="Default and limit: files.max_entries (1000).")]


def text_codec(encoding: str) -> str:
    """Return the canonical name of the Python codec for an encoding.

    Raises:
        ToolError: no codec of that name converts between bytes and text, or the codec is blocked.
    """
    try:
        if len(encoding) > _LONGEST_NAME:
            raise LookupError
        codec = codecs.lookup(encoding)
        bytes(4).decode(codec.name, "replace")  # rejects codecs that do not decode bytes to text, such as rot13
        if codec.name in _NO_FILE_CODECS:
            raise LookupError
    except (LookupError, ValueError):
        raise ToolError(f"{encoding[:_LONGEST_NAME]}: no such text encoding; try utf-8, utf-16 or latin-1") from None
    return codec.name
