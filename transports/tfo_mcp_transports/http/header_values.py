"""Splits the values of header fields at a separator that is not within a quoted string (RFC 9110, 5.6.4)."""

import re
from typing import Literal

_QUOTED = r'"(?:[^"\\]|\\.?)*(?:"|\Z)'  # one without an end reaches to the end of the value
_PARTS = {separator: re.compile(rf'(?:^|{separator})((?:[^{separator}"]|{_QUOTED})*)', re.DOTALL) for separator in ",;"}


def split_value(value: str, separator: Literal[",", ";"]) -> list[str]:
    """Return the parts of a value between the separators, without white space around them."""
    return [part.strip() for part in _PARTS[separator].findall(value)]


def parameters_of(parts: list[str]) -> list[tuple[str, str]]:
    """Return the parameters of a media type, names in lower case and values without quotes."""
    pairs = (part.partition("=") for part in parts)
    return [(name.strip().lower(), value.strip().strip("\"'").replace("\\", "")) for name, _, value in pairs]
