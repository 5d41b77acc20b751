"""Masks the variable parts of messages: numbers, ids, addresses, times and quoted text.

Messages of one statement of a program become equal by this, so that they can be counted and compared. The store masks
numbers and ids by the same idea in its own language; its result may be finer, never coarser.
"""

import re

MASK = "<*>"
_VARIABLE = re.compile(
    r"""\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b   # UUID
    |\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?       # date and time
    |\b\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?\b                                                  # time of day
    |\b0x[0-9a-fA-F]+\b
    |\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}\b|\b(?=[A-F]*[0-9])(?=[0-9]*[A-F])[0-9A-F]{8,}\b   # hexadecimal id
    |"(?:[^"\\]|\\.){1,400}"|'(?:[^'\\\s]|\\.){1,200}'                                     # quoted text
    |(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?                                          # number, address, version
    |(?<=[A-Za-z_])\d{2,}\b""",
    re.VERBOSE,
)


def masked(text: str, limit: int = 4000) -> str:
    """Return the text with `<*>` for its variable parts; text after `limit` characters is dropped."""
    return _VARIABLE.sub(MASK, text[:limit])
