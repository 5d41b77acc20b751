"""Forms from classes: their schemas are flat, answers become objects, and other fields are refused in one line."""

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from tfo_mcp.domain.errors import InvalidAnswer, InvalidDefinition
from tfo_mcp.plugins.forms import filled_in, form_schema


class Shelf(Enum):
    """Two places."""

    SHOP = "shop"
    CELLAR = "cellar"


@dataclass
class Order:
    """A form with each kind of field."""

    name: str
    when: date
    shelf: Shelf = Shelf.SHOP
    size: Literal["s", "m"] = "s"
    note: str | None = None
    count: int = 1


class Rated(BaseModel):
    """A model with a limit."""

    stars: int = Field(ge=1, le=5, description="How many.")


@dataclass
class Nested:
    """A form that no client can show."""

    order: Order


@dataclass
class Listed:
    """A form with a list of free text."""

    names: list[str] = field(default_factory=list)


def test_fields_are_primitive_and_null_is_the_absence_of_a_value() -> None:
    schema = form_schema(Order)
    fields = schema["properties"]
    assert (schema["type"], schema["required"]) == ("object", ["name", "when"])
    assert {name: found["type"] for name, found in fields.items()} == {
        **dict.fromkeys(["name", "when", "shelf", "size", "note"], "string"),
        "count": "integer",
    }
    assert (fields["when"]["format"], fields["shelf"]["enum"], fields["size"]["enum"]) == (
        "date",
        ["shop", "cellar"],
        ["s", "m"],
    )
    assert "$defs" not in schema
    assert form_schema(Rated)["properties"]["stars"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 5,
        "description": "How many.",
    }


def test_an_answer_becomes_an_object() -> None:
    order = filled_in(Order, {"name": "Ada", "when": "2026-11-29", "shelf": "cellar"})
    assert order == Order("Ada", date(2026, 11, 29), Shelf.CELLAR)
    with pytest.raises(InvalidAnswer, match="stars"):
        filled_in(Rated, {"stars": 9})


@pytest.mark.parametrize(("form", "named"), [(Nested, "'order'"), (Listed, "'names'"), (int, "int"), (dict, "dict")])
def test_what_a_form_cannot_have_is_refused_in_one_line(form: Any, named: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        form_schema(form)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)
