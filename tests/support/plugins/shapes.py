"""Tools whose schemas use every construction that pydantic describes with references, and schemas given by hand."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, JsonValue

from tfo_mcp.plugins import ToolHints, ToolResult, tool

READ_ONLY = ToolHints(read_only=True)
ValueT = TypeVar("ValueT")


class Color(Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    """A level."""

    LOW = 1
    HIGH = 2


class Size(BaseModel):
    """A size."""

    width: Annotated[int, Field(ge=1)]
    height: int = 1


class Cat(BaseModel):
    """A cat."""

    kind: Literal["cat"]
    color: Color = Color.RED


class Dog(BaseModel):
    """A dog, which may have friends."""

    kind: Literal["dog", "wolf"]
    friends: "list[Dog]" = Field(default_factory=list)


class Point(NamedTuple):
    """A point."""

    x: int
    y: int = 0


ORIGIN = Point(0)


class Page(BaseModel, Generic[ValueT]):
    """A page of values."""

    values: list[ValueT]
    first: ValueT | None = None


@dataclass(frozen=True)
class Node:
    """A node of a tree."""

    name: str
    children: "list[Node]"


class Folder(BaseModel):
    """A folder, which holds documents."""

    documents: "dict[str, Document]" = Field(default_factory=dict)


class Document(BaseModel):
    """A document in a folder."""

    folder: Folder | None = None


def doubled(levels: int) -> Any:
    """Return a model that uses the next one twice, and so on; inlined it has 2 to the power of `levels` leaves."""
    model: Any = int
    for level in range(levels):
        model = type(f"Level{level}", (BaseModel,), {"__annotations__": {"left": model, "right": model}})
    return model


if TYPE_CHECKING:
    Huge = BaseModel
else:
    Huge = doubled(30)


@tool(hints=READ_ONLY)
def nested(size: Annotated[Size, Field(description="How large.")], more: list[Size] | None = None) -> Page[Size]:
    """Take and return nested models."""
    return Page(values=[size, *(more or [])], first=size)


@tool(hints=READ_ONLY)
def chosen(
    color: Annotated[Color, Field(description="The color.")] = Color.BLUE, level: Level = Level.LOW
) -> dict[str, Color]:
    """Take enumerations with siblings of the reference, and return a dictionary."""
    return {str(int(level)): color}


@tool(hints=READ_ONLY)
def adopted(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> Cat | Dog:
    """Take and return a discriminated union with a recursive member."""
    return pet


@tool(hints=READ_ONLY)
def paged(pages: Page[Page[Size]]) -> list[Page[int]]:
    """Take and return generic models."""
    return [Page(values=[len(page.values)]) for page in pages.values]


@tool(hints=READ_ONLY)
def planted(tree: Annotated[Node, Field(description="The tree.")]) -> Node:
    """Take and return a recursive type."""
    return tree


@tool(hints=READ_ONLY)
def filed(folder: Folder, value: JsonValue = None) -> dict[str, Folder]:
    """Take and return types that contain each other."""
    return {"folder": folder}


@tool(hints=READ_ONLY)
def placed(
    at: tuple[int, int],
    path: list[tuple[int, str]],
    corner: Point = ORIGIN,
    rest: tuple[int, ...] = (),
    bare: list = [],  # type: ignore[type-arg]  # noqa: B006 -- without the type of its elements
) -> tuple[int, int]:
    """Take and return tuples."""
    return at


@tool(hints=READ_ONLY)
def grown(huge: Huge | None = None) -> Huge | None:
    """Take and return a model that is too large to be inlined."""
    return huge


@tool(
    hints=READ_ONLY,
    input_schema={
        "type": "object",
        "properties": {
            "query": {"$ref": "#/$defs/Query", "description": "What to look for.", "minLength": 2},
            "anything": True,
            "nothing": False,
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}]},
            "$ref": {"const": {"$ref": "#/$defs/Query"}},
        },
        "$defs": {"Query": {"type": "string", "maxLength": 5}, "Unused": {"type": "integer"}},
    },
    output_schema={
        "type": "object",
        "properties": {"hits": {"$ref": "#/$defs/Hits"}},
        "additionalProperties": {"$ref": "#/$defs/Hits"},
        "$defs": {"Hits": {"type": "array", "items": {"$ref": "#/$defs/Hits"}}},
    },
)
def written(arguments: dict[str, Any]) -> ToolResult:
    """Take and return what schemas written by hand describe."""
    return ToolResult(structured={"hits": [[]], "more": []})
