"""Tools and a prompt whose arguments can be wrong in many ways."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from tfo_mcp.plugins import ToolHints, prompt, tool

READ_ONLY = ToolHints(read_only=True)


NOTHING = Decimal(0)


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class Pair(BaseModel):
    """A pair."""

    x: int
    y: int = 0


class Card(BaseModel):
    """A payment by card."""

    kind: Literal["card"]
    number: str


class Cash(BaseModel):
    """A payment in cash."""

    kind: Literal["cash"]


@tool(hints=READ_ONLY)
def demand(
    number: int = 0,
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    step: Annotated[int, Field(multiple_of=5, le=20)] = 0,
    numbers: Annotated[list[int] | None, Field(min_length=1, max_length=3)] = None,
    code: Annotated[str, Field(pattern="^[A-Z]+$")] = "A",
    short: Annotated[str, Field(min_length=2, max_length=4)] = "ab",
    table: dict[str, int] | None = None,
    choice: Literal["x", "y"] | None = None,
    mixed: int | list[str] | None = None,
    pair: Pair | None = None,
    pairs: tuple[Pair, ...] = (),
    payment: Annotated[Card | Cash | None, Field(discriminator="kind")] = None,
    names: set[str] | None = None,
) -> str:
    """Take arguments that the schema describes."""
    return "taken"


@tool(hints=READ_ONLY)
def convert(
    day: date | None = None,
    key: UUID | None = None,
    even: Annotated[int, AfterValidator(_even)] = 0,
    sum: Decimal = Decimal(0),
) -> str:
    """Take arguments that the schema cannot describe completely."""
    return "taken"


@tool(
    hints=READ_ONLY,
    input_schema={
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "size": {"$ref": "#/definitions/Size"},
            "none": False,
        },
        "required": ["size"],
        "additionalProperties": False,
        "definitions": {"Size": {"oneOf": [{"type": "integer"}, {"enum": ["small", "large"]}]}},
    },
)
def written(arguments: dict[str, Any]) -> str:
    """Take arguments that a schema written by hand describes."""
    return "taken"


@prompt()
def order(
    count: Annotated[int, Field(ge=1)],
    day: date | None = None,
    tone: Literal["formal", "friendly"] = "formal",
    note: Annotated[str, Field(max_length=5)] = "",
) -> str:
    """A prompt whose arguments are converted."""
    return f"{count} {day} {tone} {note}"
