"""Names that resemble an unknown one: suggested for names, and not searched for in megabytes."""

import tracemalloc

from tfo_mcp.domain.text import NAME_LIMIT, close_name
from tfo_mcp.plugins.problems import unknown

LARGE = 3_900_000  # characters, nearly the largest message


def test_the_nearest_of_the_known_names_is_returned() -> None:
    assert close_name("mesage", ["name", "message", "messages"]) == "message"
    assert close_name("zzz", ["message"]) is None


def test_a_name_of_megabytes_resembles_none_and_takes_no_memory() -> None:
    name = "message" + "n" * LARGE
    tracemalloc.start()
    assert close_name(name, ["message" * 30]) is None
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert close_name("m" * NAME_LIMIT, ["m" * NAME_LIMIT]) == "m" * NAME_LIMIT


def test_of_very_many_unknown_arguments_only_the_first_have_a_suggestion() -> None:
    problems = unknown((), [f"mesage{number}" for number in range(1000)], ["message"])
    suggested = ["did you mean message?" in problem.text for problem in problems]
    assert suggested == [True] * 30 + [False] * 970
