"""Follows the hints of truncated results of read_file, as a client does that takes their arguments literally."""

import re
from collections.abc import Sequence

_ARGUMENT = re.compile(r"\b(offset|column|limit)=(\d+)")


def next_arguments(texts: Sequence[str]) -> dict[str, int] | None:
    """Return the arguments of the next call after a result with these text blocks, None if it is complete."""
    if len(texts) == 1:
        return None
    _, hint = texts
    return {name: int(value) for name, value in _ARGUMENT.findall(hint)}
