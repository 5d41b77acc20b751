"""Results on the terminal: text is printed, binary content is saved to new files in the working directory."""

import base64
import mimetypes
import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def show_blocks(blocks: Sequence[Mapping[str, Any]], stem: str) -> None:
    """Print content blocks; images, audio and other binary data go to files whose names begin with `stem`."""
    for block in blocks:
        match block.get("type"):
            case "text":
                print(block["text"])
            case "image" | "audio":
                _save(block["data"], block.get("mimeType"), stem)
            case "resource":
                show_contents([block["resource"]], stem)
            case "resource_link":
                print(f"{block['uri']}  {block.get('title') or block.get('name', '')}")
            case _:
                print(as_json(block))


def show_contents(contents: Sequence[Mapping[str, Any]], stem: str) -> None:
    """Print the contents of a resource; binary contents go to files."""
    for part in contents:
        if "blob" in part:
            _save(part["blob"], part.get("mimeType"), stem)
        else:
            print(part.get("text", ""))


def _save(data: str, mime_type: str | None, stem: str) -> None:
    try:
        content = base64.b64decode(data)
    except ValueError as problem:
        raise CommandFailed(f"The binary data of the answer is not base64: {problem}") from None
    suffix = mimetypes.guess_extension(mime_type or "") or ".bin"
    name = _NOT_IN_NAMES.sub("-", stem).strip("-.") or "result"
    for number in count(1):
        path = Path(f"{name}-{number}{suffix}")
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            continue
        print(f"{path}: {len(content)} bytes of {mime_type or 'binary data'}")
        return
