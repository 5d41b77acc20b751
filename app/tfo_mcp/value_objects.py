"""Value objects: the immutable records that the parts of the program pass to each other.

A value object is a dataclass with slots, compared, hashed and shown by its fields. Type checkers report assignments to
its fields; at run time nothing does. A dataclass that enforces it takes four times as long to define and three times as
long to make, and the 200 classes of this program would be a fifth of its start-up time. Needs the standard library
only: the supervisor of commands imports this module, too.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

ValueT = TypeVar("ValueT")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_object(cls: type[ValueT]) -> type[ValueT]:
    """Make a class a value object.

    Fields are declared as in a dataclass. `field(compare=False)` leaves a field out of comparison and hash,
    `field(repr=False)` leaves it out of the text. A method `__eq__`, `__hash__` or `__repr__` of the class is kept.
    """
    made: Any = dataclass(slots=True, eq=False, repr=False)(cls)
    own = vars(made)
    compared = _values_of(tuple(entry.name for entry in fields(made) if entry.compare))
    shown = tuple(entry.name for entry in fields(made) if entry.repr)

    def equal(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if type(other) is made else NotImplemented

    def hashed(self: Any) -> int:
        return hash(compared(self))

    def text(self: Any) -> str:
        return f"{made.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    for name, method in (("__eq__", equal), ("__hash__", hashed), ("__repr__", text)):
        if own.get(name) is None:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Hashable]:
    """Return a function that returns the values of these attributes."""
    return attrgetter(*names) if names else lambda _value: ()
