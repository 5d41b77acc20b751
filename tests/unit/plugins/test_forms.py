"""Forms from classes: their schemas are flat, answers become objects, and other fields are refused in one line."""

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

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


@dataclass
class WrongNumber:
    """A number that is a text."""

    n: int = "x"  # type: ignore[assignment]


@dataclass
class NumberInText:
    """A number that could be converted, which dataclasses do not do."""

    name: str
    n: int = "5"  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongDay:
    """A day that is a text, after a required field."""

    name: str
    n: date = "2030-01-31"  # type: ignore[assignment]


@dataclass
class WrongList:
    """A list whose factory makes another type."""

    n: list[Literal["a", "b"]] = field(default_factory=lambda: "a")  # type: ignore[arg-type,return-value]


class WrongModel(BaseModel):
    """A model, which does not check its defaults."""

    name: str
    n: Shelf = "shop"  # type: ignore[assignment]


@pydantic_dataclass
class WrongPydanticDataclass:
    """A dataclass of pydantic, which does not check its defaults either."""

    n: int = Field(default="5")  # type: ignore[assignment]


class WrongChecked(BaseModel):
    """A model that would fail on every answer."""

    model_config = {"validate_default": True}
    n: int = Field(default="x")  # type: ignore[assignment]


class TooMany(BaseModel):
    """A default above the limit."""

    n: int = Field(default=9, le=5)


@pytest.mark.parametrize(
    "form", [WrongNumber, NumberInText, WrongDay, WrongList, WrongModel, WrongPydanticDataclass, WrongChecked, TooMany]
)
def test_a_default_of_another_type_is_refused_with_the_name_of_its_field(form: type) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        form_schema(form)
    assert f"Form {form.__name__}: the default of 'n' does not fit its type: " in str(refused.value)
    assert "\n" not in str(refused.value)


class Converting(BaseModel):
    """A model that converts its default by itself."""

    model_config = {"validate_default": True}
    n: int = Field(default="5", alias="number")  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Right defaults of each kind."""

    name: str
    ratio: float = 1
    when: date | None = None
    sizes: list[Literal["s", "m"]] = field(default_factory=lambda: ["s"])
    shelf: Shelf = Shelf.SHOP


@pytest.mark.parametrize(("form", "content"), [(Converting, {}), (Frozen, {"name": "Ada"})])
def test_right_defaults_are_those_of_the_answer(form: type, content: dict[str, Any]) -> None:
    assert form_schema(form)["type"] == "object"
    assert filled_in(form, content) == form(**content)
