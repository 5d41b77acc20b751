"""Value objects: comparison, hash, text and size."""

from dataclasses import dataclass, field, replace

import pytest

from tfo_mcp.value_objects import value_object


@value_object
class Address:
    city: str
    number: int = 1
    secret: str = field(default="", repr=False)
    remark: str = field(default="", compare=False)


@value_object
class Nothing:
    """Has no fields."""


@value_object
class Office(Address):
    room: str = ""


@value_object
class CaseBlind:
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CaseBlind) and other.text.lower() == self.text.lower()

    def __hash__(self) -> int:
        return hash(self.text.lower())

    def __repr__(self) -> str:
        return "case-blind"


def test_it_is_compared_and_hashed_by_the_fields_that_are_compared() -> None:
    home = Address("Rome", 2)
    same = Address("Rome", number=2, remark="not compared")
    assert home == same
    assert hash(home) == hash(same)
    assert home != Address("Rome", 3)
    assert len({home, same, replace(home, city="Oslo")}) == 2


def test_it_never_equals_an_object_of_another_class() -> None:
    assert Address("Rome") != Office("Rome")
    assert Office("Rome", room="1") == Office("Rome", room="1")
    others: list[object] = [("Rome", 1, ""), Nothing()]
    assert Address("Rome") not in others
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())


def test_its_text_has_the_fields_that_are_shown() -> None:
    assert repr(Office("Rome", secret="hidden", room="1")) == "Office(city='Rome', number=1, remark='', room='1')"
    assert repr(Nothing()) == "Nothing()"


def test_methods_of_the_class_are_kept() -> None:
    assert CaseBlind("a") == CaseBlind("A")
    assert hash(CaseBlind("a")) == hash(CaseBlind("A"))
    assert repr(CaseBlind("a")) == "case-blind"


def test_it_has_no_attributes_but_its_fields() -> None:
    home = Address("Rome")
    assert not hasattr(home, "__dict__")
    with pytest.raises(AttributeError):
        home.street = "Corso"  # type: ignore[attr-defined]


def test_type_checkers_report_an_assignment() -> None:
    home = Address("Rome")
    home.city = "Oslo"  # type: ignore[misc]
    assert home.city == "Oslo"


def test_it_fits_where_a_dataclass_is_expected() -> None:
    @dataclass
    class Person:
        home: Address

    assert Person(Address("Rome")) == Person(Address("Rome"))
    match Address("Rome", 7):
        case Address(city, number):
            assert (city, number) == ("Rome", 7)
