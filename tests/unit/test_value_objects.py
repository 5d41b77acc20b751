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


@value_object
class Parcel:
    weight: float
    parts: list[str] = field(default_factory=list)
    copies: int = field(default=2, init=False)
    label: str = field(init=False)
    self_made: bool = True

    def __post_init__(self) -> None:
        self.label = f"{self.weight} kg"  # type: ignore[misc]


def test_fields_have_their_defaults_and_those_of_no_parameter_are_set_by_the_class() -> None:
    one, other = Parcel(1.5), Parcel(1.5, ["a"], self_made=False)
    assert (one.parts, one.copies, one.label, one.self_made) == ([], 2, "1.5 kg", True)
    assert (other.parts, other.self_made) == (["a"], False)
    assert Parcel(1).parts is not one.parts
    assert replace(one, weight=2).label == "2 kg"


def test_arguments_that_do_not_fit_are_reported_as_for_a_function() -> None:
    for given, named in (((), {}), ((1, [], True, 4), {}), ((1,), {"copies": 3}), ((1,), {"weight": 2})):
        for _ in range(2):  # before and after it is compiled
            with pytest.raises(TypeError, match=r"Parcel.__init__\(\)"):
                Parcel(*given, **named)  # type: ignore[arg-type]


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
