"""Parameter types that several file tools share: paths, encodings, digests and result limits."""

import codecs
from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import ToolError

_NO_FILE_CODECS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"})  # slow, or unsafe

Path = Annotated[
    str,
    Field(
        min_length=1,
        description="Path of the file: relative to the first root directory, absolute, or a file: URI. Use the URI "
        "for names that are not valid UTF-8.",
    ),
]
Directory = Annotated[
    str,
    Field(
        min_length=1,
        description="Path of the directory: relative to the first root directory (`.`), absolute, or a file: URI.",
    ),
]
Encoding = Annotated[
    str, Field(min_length=1, max_length=40, description="Text encoding of the file, such as utf-8 or latin-1.")
]
CreateDirs = Annotated[bool, Field(description="Whether to create missing parent directories.")]
Digest = Annotated[
    str | None,
    Field(
        pattern="^[0-9A-Fa-f]{64}$",
        description="Expected SHA-256 of the current file contents, as returned by file_info. If it does not match, "
        "the call fails and the file is not changed.",
    ),
]
MostResults = Annotated[
    int | None,
    Field(
        ge=1,
        description="Maximum number of results. The default and upper limit is the setting files.max_entries "
        "(1000 unless configured otherwise).",
    ),
]


def text_codec(encoding: str) -> str:
    """Return the canonical name of the Python codec for an encoding.

    Raises:
        ToolError: no codec of that name converts between bytes and text, or the codec is blocked.
    """
    try:
        codec = codecs.lookup(encoding)
        bytes(4).decode(codec.name, "replace")  # rejects codecs that do not decode bytes to text, such as rot13
        if codec.name in _NO_FILE_CODECS:
            raise LookupError
    except (LookupError, ValueError):
        raise ToolError(f"{encoding}: no such text encoding; try utf-8, utf-16 or latin-1") from None
    return codec.name
