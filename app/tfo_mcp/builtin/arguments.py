"""Arguments that several file tools take: paths and encodings, described once."""

import codecs
from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import ToolError

_NO_FILE_CODECS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"})  # slow, or unsafe

Path = Annotated[
    str,
    Field(
        min_length=1,
        description="Path of the file: relative to the first root, absolute, or a file: URI (which names files whose "
        "names are no plain text).",
    ),
]
Directory = Annotated[
    str,
    Field(
        min_length=1,
        description="Path of the directory: relative to the first root (`.`), absolute, or a file: URI.",
    ),
]
Encoding = Annotated[str, Field(min_length=1, max_length=40, description="Text encoding, such as utf-8 or latin-1.")]
CreateDirs = Annotated[bool, Field(description="Whether to create the directories on the way.")]
Digest = Annotated[
    str | None,
    Field(
        pattern="^[0-9A-Fa-f]{64}$",
        description="SHA-256 that the file must have now (file_info tells it): nothing is written over what somebody "
        "else has changed.",
    ),
]
MostResults = Annotated[
    int | None, Field(ge=1, description="Most entries of the answer; by default and at most the server's own limit.")
]


def text_codec(encoding: str) -> str:
    """Return the codec's own name.

    Raises:
        ToolError: there is none of that name that turns bytes into text.
    """
    try:
        codec = codecs.lookup(encoding)
        bytes(4).decode(codec.name, "replace")  # refuses codecs between other things than bytes and text
        if codec.name in _NO_FILE_CODECS:
            raise LookupError
    except (LookupError, ValueError):
        raise ToolError(f"{encoding}: no such text encoding; try utf-8, utf-16 or latin-1") from None
    return codec.name
