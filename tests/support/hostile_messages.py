"""JSON values of nearly four MiB that are expensive to parse, grouped by their content.

Each shape is one JSON value; `tool_call` puts it into a request. Knows no transport.
"""

from collections.abc import Callable, Mapping

NEARLY = 4 * 1024 * 1024 - 4096


def repeated(piece: bytes, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """Return an array or object that repeats one element."""
    return opening + b",".join([piece] * ((NEARLY - 2) // (len(piece) + 1))) + closing


def text(piece: bytes) -> bytes:
    """Return one string that repeats a piece."""
    return b'"' + piece * (NEARLY // len(piece)) + b'"'


def members() -> bytes:
    """Return an object with many members, all with different names."""
    return b"{" + b",".join(b'"%x":0' % number for number in range(NEARLY // 11)) + b"}"


MANY_VALUES: Mapping[str, Callable[[], bytes]] = {
    "empty arrays": lambda: repeated(b"[]"),
    "empty objects": lambda: repeated(b"{}"),
    "one member again and again": lambda: repeated(b'"a":0', b"{", b"}"),
    "members": members,
    "numbers": lambda: repeated(b"0"),
    "exponents": lambda: repeated(b"1e308"),
    "trees": lambda: repeated(b"[" * 50 + b"]" * 50),
    "empty strings": lambda: repeated(b'""'),
    "strings of escapes": lambda: repeated(rb'"\"\\,["'),
}
"""Values with far too many elements."""

LONG_NUMBERS: Mapping[str, Callable[[], bytes]] = {
    "one integer": lambda: b"9" * NEARLY,
    "integers": lambda: repeated(b"-" + b"9" * 4000),
    "integers that are not so long": lambda: b"[" + b",".join([b"9" * 390] * 9000) + b"]",
    "one fraction": lambda: b"0." + b"1" * NEARLY,
    "one exponent": lambda: b"1e" + b"9" * NEARLY,
}
"""Numbers with far too many digits."""

LONG_TEXTS: Mapping[str, Callable[[], bytes]] = {
    "letters": lambda: text(b"x"),
    "digits": lambda: text(b"0"),
    "punctuation": lambda: text(b",[{"),
    "quotes": lambda: text(rb"\""),
    "backslashes": lambda: text(rb"\\"),
    "everything": lambda: text(rb"\"\\,[{:1e999"),
    "escaped letters": lambda: text(rb"\u00e9"),
    "escaped pairs": lambda: text(rb"\ud83d\ude00"),
}
"""Single long strings, which count as one value each, whatever they contain."""


def tool_call(identifier: int, value: bytes, tool: bytes = b"echo", argument: bytes = b"message") -> bytes:
    """Return the frame of a tools/call with the value as an argument."""
    params = b'{"name":"%b","arguments":{"%b":%b}}' % (tool, argument, value)
    return b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%b}' % (identifier, params)
