"""Parts of statements with their parameters.

Values of callers become parameters that the server binds, never a part of the text. Must not know tables.
"""

from collections.abc import Mapping, Sequence

from tfo_mcp.value_objects import value_object

_PLACE = "\0"
_TYPES: Mapping[type, str] = {str: "String", bool: "Bool", int: "Int64", float: "Float64", tuple: "Array(String)"}

Value = str | bool | int | float | tuple[str, ...]


@value_object
class SqlPart:
    """A part of a statement, and the values of its placeholders in order."""

    text: str
    values: tuple[Value, ...] = ()

    def __add__(self, other: "SqlPart | str") -> "SqlPart":
        """Return both parts, one after the other."""
        if isinstance(other, str):
            return SqlPart(self.text + other, self.values)
        return SqlPart(self.text + other.text, self.values + other.values)

    def __radd__(self, other: str) -> "SqlPart":
        """Return a text and this part after it."""
        return SqlPart(other + self.text, self.values)

    def bound(self) -> tuple[str, Mapping[str, object]]:
        """Return the statement with named, typed placeholders, and its parameters by name."""
        first, *parts = self.text.split(_PLACE)
        text = first
        parameters: dict[str, object] = {}
        for number, (part, value) in enumerate(zip(parts, self.values, strict=True)):
            text += f"{{p{number}:{_TYPES[type(value)]}}}{part}"
            parameters[f"p{number}"] = list(value) if isinstance(value, tuple) else value
        return text, parameters


def bind(value: Value) -> SqlPart:
    """Return a placeholder for a value; a tuple is an array of texts."""
    return SqlPart(_PLACE, (value,))


def joined(separator: str, parts: Sequence[SqlPart]) -> SqlPart:
    """Return the parts with a separator between them."""
    values = tuple(value for part in parts for value in part.values)
    return SqlPart(separator.join(part.text for part in parts), values)


def quoted(name: str) -> str:
    """Return a name of the database's own as an identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def moment(nanoseconds: int) -> str:
    """Return the literal of a time, limited to the times that 64 bits of nanoseconds hold."""
    return f"fromUnixTimestamp64Nano(toInt64({max(0, min(int(nanoseconds), 2**63 - 2))}))"


def nanoseconds(time: str) -> str:
    """Return the expression of a time as nanoseconds since 1970."""
    return f"toUnixTimestamp64Nano({time})"
