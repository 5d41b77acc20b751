"""Value objects: the immutable records that the parts of the program pass to each other.

A value object is a dataclass with slots, compared, hashed and shown by its fields. Type checkers report assignments to
its fields; at run time nothing does. A dataclass that enforces it takes four times as long to define and three times as
long to make, and the 300 classes of this program would be a fifth of its start-up time. For the same reason `__init__`
is compiled when the first object is made: a start uses a quarter of the classes. Needs the standard library only: the
supervisor of commands imports this module, too.
"""

from collections.abc import Callable, Hashable
from dataclasses import MISSING, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

ValueT = TypeVar("ValueT")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_object(cls: type[ValueT]) -> type[ValueT]:
    """Make a class a value object.

    Fields are declared as in a dataclass. `field(compare=False)` leaves a field out of comparison and hash,
    `field(repr=False)` leaves it out of the text. A method `__eq__`, `__hash__` or `__repr__` of the class is kept.
    """
    made: Any = dataclass(init=False, slots=True, eq=False, repr=False)(cls)
    own = vars(made)
    compared = _values_of(tuple(entry.name for entry in fields(made) if entry.compare))
    shown = tuple(entry.name for entry in fields(made) if entry.repr)

    def equal(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if type(other) is made else NotImplemented

    def hashed(self: Any) -> int:
        return hash(compared(self))

    def text(self: Any) -> str:
        return f"{made.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def initialize(self: Any, *given: object, **named: object) -> None:
        made.__init__ = _initializer(made)
        made.__init__(self, *given, **named)

    methods = (("__init__", initialize), ("__eq__", equal), ("__hash__", hashed), ("__repr__", text))
    for name, method in methods:
        if own.get(name) is None:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _initializer(made: type) -> Callable[..., None]:
    """Compile the `__init__` of a value object: a parameter for each field, with its default.

    A field with `init=False` has no parameter; it is set by its default, or by `__post_init__`.
    """
    parameters, lines = ["self"], []
    known: dict[str, object] = {"absent": MISSING}
    for entry in fields(made):
        name = entry.name
        if entry.default_factory is not MISSING:
            known[f"make_{name}"] = entry.default_factory
            default, made_by_default = "absent", f"make_{name}()"
        elif entry.default is not MISSING:
            known[f"default_{name}"] = entry.default
            default = made_by_default = f"default_{name}"
        else:
            default = made_by_default = ""
        if entry.init:
            parameters.append(f"{name}={default}" if default else name)
            value = f"{made_by_default} if {name} is absent else {name}" if default == "absent" else name
            lines.append(f"    self.{name} = {value}\n")
        elif default:
            lines.append(f"    self.{name} = {made_by_default}\n")
    if hasattr(made, "__post_init__"):
        lines.append("    self.__post_init__()\n")
    compiled: dict[str, Any] = {}
    source = f"def __init__({', '.join(parameters)}):\n{''.join(lines) or '    pass'}"
    exec(source, known, compiled)  # noqa: S102  # its names are those of fields, as in `dataclass`
    initializer: Callable[..., None] = compiled["__init__"]
    initializer.__qualname__ = f"{made.__qualname__}.__init__"
    return initializer


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Hashable]:
    """Return a function that returns the values of these attributes."""
    return attrgetter(*names) if names else lambda _value: ()
