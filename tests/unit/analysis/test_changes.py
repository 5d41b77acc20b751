"""Ranking of the services that changed: noise, attribution to where a change begins, and habits."""

from collections.abc import Sequence

from tests.unit.analysis.features import series, steady
from tfo_mcp.analysis.changes import ANY_MESSAGE, causes_of
from tfo_mcp.application.ports.telemetry_store import FeatureSeries

MS = 1e6
CHAIN = [
    steady("errors", 0.0, service, operation)
    for service, operation in (("gateway", "GET /cart"), ("gateway", "GET > stock GET"), ("stock", "GET"))
]
CALLS = [
    steady("child", 1.0, "gateway", "GET /cart", "gateway: GET > stock GET"),
    steady("child", 1.0, "gateway", "GET > stock GET", "stock: GET"),
]


def ran(*operations: FeatureSeries) -> Sequence[FeatureSeries]:
    """Return what shows that the operations of a history run now."""
    return [series("errors", [0.0], each.service, each.operation) for each in operations if each.kind == "errors"]


def ranked(now: Sequence[FeatureSeries], history: Sequence[FeatureSeries]) -> list[str]:
    return [cause.service for cause in causes_of(now, history)]


def test_no_change_is_no_cause() -> None:
    history = [*CHAIN, steady("self_time", 10 * MS), steady("log", 1.0, subject="found")]
    now = [*ran(*CHAIN), series("self_time", [10.5 * MS]), series("log", [1.0], subject="found")]
    assert causes_of(now, history) == []


def test_a_callee_explains_its_caller() -> None:
    history = [
        *CHAIN,
        *CALLS,
        steady("log", 0.0, "gateway", "GET /cart", "cart failed"),
        steady("log", 0.0, "stock", "GET", "NullPointerException"),
    ]
    now = [
        *ran(*CHAIN),
        *(series("child", [1.0], each.service, each.operation, each.subject) for each in CALLS),
        series("log", [0.9], "gateway", "GET /cart", "cart failed"),
        series("log", [0.9], "stock", "GET", "NullPointerException"),
    ]
    assert ranked(now, history) == ["stock", "gateway"]


def between(value: float, *more: FeatureSeries) -> Sequence[FeatureSeries]:
    """Return the period in which calls from the gateway to the stock service take longer on the way."""
    return [
        *ran(*CHAIN),
        *(series("child", [1.0], each.service, each.operation, each.subject) for each in CALLS),
        series("between", [value], "gateway", "GET > stock GET"),
        *more,
    ]


def test_the_time_between_belongs_to_the_end_where_more_changed() -> None:
    own = [steady("self_time", 5 * MS, "gateway", name) for name in ("GET /cart", "render", "log in")]
    history = [
        *CHAIN,
        *CALLS,
        *own,
        steady("between", 1 * MS, "gateway", "GET > stock GET"),
        steady("self_time", 5 * MS),
    ]
    unchanged = [series("self_time", [5 * MS], "gateway", name) for name in ("GET /cart", "render", "log in")]
    assert ranked(between(90 * MS, *unchanged, series("self_time", [5 * MS])), history) == ["stock"]


def test_the_time_between_belongs_to_the_caller_if_both_ends_are_alike() -> None:
    history = [*CHAIN, *CALLS, steady("between", 1 * MS, "gateway", "GET > stock GET")]
    assert ranked(between(90 * MS), history) == ["gateway"]


def test_a_service_that_often_fails_ranks_below_one_that_never_did() -> None:
    restless = [0.0, 0.0, 0.6, 0.0, 0.0, 0.7, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]
    history = [
        *(steady("errors", 0.0, name, "GET") for name in ("cart", "mail")),
        series("log", restless, "cart", "GET", "no instance"),
        steady("log", 1.0, "mail", "GET", "sent"),
    ]
    now = [
        *(series("errors", [0.0], name, "GET") for name in ("cart", "mail")),
        series("log", [1.0], "cart", "GET", "timed out"),
        series("log", [0.2], "mail", "GET", "sent"),
    ]
    assert ranked(now, history) == ["mail", "cart"]


def test_messages_that_are_all_different_are_missed_together() -> None:
    history = [steady("errors", 0.0)]
    for index in range(12):
        values = [1.0 if index == part else 0.0 for part in range(12)]
        history.append(series("log", values, subject=f"prices of {'x ' * index}"))
    (cause,) = causes_of([series("errors", [0.0])], history)
    assert cause.changes[0].feature.subject == ANY_MESSAGE
    assert (cause.changes[0].usual, cause.changes[0].now) == (1.0, 0.0)


def test_parts_of_the_period_itself_are_no_history() -> None:
    history = [
        FeatureSeries("errors", "stock", "GET", "", (-2, -1, 0), (40, 40, 40), (0.0, 0.0, 0.9), ""),
    ]
    (cause,) = causes_of([series("errors", [0.9])], history)
    assert cause.changes[0].usual == 0


def test_another_baseline_without_the_operation_says_nothing_about_it() -> None:
    assert causes_of([series("errors", [0.9], operation="new")], CHAIN) == []
