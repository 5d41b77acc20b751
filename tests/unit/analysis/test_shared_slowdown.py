"""The slowdown that other services share: a busy machine, and not a fault of a few."""

from tfo_mcp.analysis.shared_slowdown import shared_slowdowns

MS = 1e6


def test_a_slowdown_of_all_is_shared() -> None:
    found = shared_slowdowns((name, 5 * MS, 15 * MS) for name in ("cart", "mail", "stock"))
    assert {name: round(factor, 6) for name, factor in found.items()} == {"cart": 3, "mail": 3, "stock": 3}


def test_a_slowdown_of_one_service_is_its_own() -> None:
    found = shared_slowdowns([("cart", 5 * MS, 50 * MS), ("mail", 5 * MS, 5 * MS), ("stock", 5 * MS, 4 * MS)])
    assert found["cart"] == 1


def test_two_services_say_nothing_about_a_machine() -> None:
    assert shared_slowdowns([("cart", 5 * MS, 50 * MS), ("mail", 5 * MS, 50 * MS)]) == {"cart": 1, "mail": 1}


def test_operations_of_no_duration_are_equal() -> None:
    assert shared_slowdowns((name, 1.0, 5e4) for name in ("cart", "mail", "stock"))["cart"] == 1
