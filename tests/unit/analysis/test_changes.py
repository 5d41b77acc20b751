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


def test_parts_of_the_period_may_be_shorter() -> None:
    history = [FeatureSeries("errors", "stock", "GET", "", (-1, 0, 1, 2), (40,) * 4, (0.0, 0.9, 0.9, 0.9), "")]
    (cause,) = causes_of([series("errors", [0.9])], history, range(3))
    assert cause.changes[0].usual == 0


VERSION = "service.version = 1.5"


def test_a_new_version_alone_is_no_change() -> None:
    now = [series("errors", [0.0]), series("value", [1.0], subject=VERSION)]
    assert causes_of(now, [steady("errors", 0.0)]) == []


def test_a_new_version_is_named_with_what_changed_in_its_service_only() -> None:
    history = [steady("errors", 0.0, name, "GET") for name in ("stock", "cart")]
    history += [steady("value", 1.0, name, "GET", "service.version = 1.4") for name in ("stock", "cart")]
    now = [
        series("errors", [0.9], "stock"),
        series("errors", [0.0], "cart"),
        *(series("value", [1.0], name, subject=VERSION) for name in ("stock", "cart")),
    ]
    (cause,) = causes_of(now, history)
    assert [(change.service, change.feature.kind, change.feature.subject) for change in cause.changes] == [
        ("stock", "value", VERSION),
        ("stock", "errors", ""),
    ]


def clocks(*skewed: str) -> Sequence[FeatureSeries]:
    """Return a period in which the gateway calls two services, and these clocks are three seconds ahead."""
    found: list[FeatureSeries] = []
    for callee in ("stock", "cart"):
        operation = f"GET > {callee} GET"
        apart = "gateway" in skewed or callee in skewed
        found += [
            series("errors", [0.0], "gateway", operation),
            series("child", [1.0], "gateway", operation, f"{callee}: GET"),
            series("clock", [3000 * MS if apart else 0.0], "gateway", operation),
        ]
    return found


def test_the_skewed_clock_is_the_one_that_differs_from_most() -> None:
    history = [steady(each.kind, each.values[0], each.service, each.operation, each.subject) for each in clocks()]
    assert ranked(clocks("stock"), history) == ["stock"]
    assert ranked(clocks("gateway"), history) == ["gateway"]


def test_equally_sure_changes_are_shown_from_the_call_to_its_messages() -> None:
    history = [steady("errors", 0.0), steady("calls", 1.0, subject="bank: POST")]
    now = [
        series("errors", [0.0]),
        series("log", [9.0], subject="the bank refused"),
        series("calls", [9.0], subject="bank: POST"),
    ]
    (cause,) = causes_of(now, history)
    assert [change.feature.kind for change in cause.changes] == ["calls", "log", "log"]
    assert cause.changes[-1].feature.subject == ANY_MESSAGE


def test_a_callee_explains_the_open_requests_of_its_callers() -> None:
    history = [*CHAIN, *CALLS, steady("level", 2.0, "gateway", "", "active"), steady("self_time", 5 * MS)]
    now = [
        *ran(*CHAIN),
        *(series("child", [1.0], each.service, each.operation, each.subject) for each in CALLS),
        series("level", [40.0], "gateway", "", "active"),
        series("self_time", [60 * MS]),
    ]
    assert ranked(now, history) == ["stock", "gateway"]


def test_what_a_busy_machine_does_to_all_services_does_not_rank_them() -> None:
    services = ("gateway", "cart", "mail", "stock")
    history = [steady("errors", 0.0, name, "GET") for name in services]
    history += [steady("self_time", 5 * MS, name, "GET") for name in services]
    now = [
        *ran(*history),
        *(series("self_time", [(90 if name == "gateway" else 50) * MS], name, "GET") for name in services[:3]),
        series("self_time", [50 * MS], "stock", "GET"),
        series("log", [0.4], "stock", "GET", "no such item"),
    ]
    assert ranked(now, history)[0] == "stock"
