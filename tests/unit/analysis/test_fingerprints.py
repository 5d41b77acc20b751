"""Fingerprints of errors: equal for one cause, different for two."""

import pytest

from tfo_mcp.analysis.fingerprints import grouped_errors, program_frame
from tfo_mcp.application.ports.telemetry_store import ErrorShape

PYTHON = """Traceback (most recent call last):
  File "/srv/shop/orders/views.py", line 41, in create
    reserve(cart)
  File "/srv/shop/orders/stock.py", line {line}, in reserve
    session.execute(query)
  File "/usr/lib/python3.11/site-packages/sqlalchemy/orm/session.py", line 2246, in execute
    return self._execute_internal(
sqlalchemy.exc.OperationalError: timeout
"""
JAVA = """java.lang.IllegalStateException: pool exhausted
\tat org.springframework.jdbc.DataSourceUtils.getConnection(DataSourceUtils.java:84)
\tat app//com.acme.orders.OrderRepository.find(OrderRepository.java:112)
\tat com.acme.orders.OrderService.load(OrderService.java:20)
"""
NODE = """TypeError: Cannot read properties of undefined
    at Layer.handle (/srv/node_modules/express/lib/router/layer.js:95:5)
    at async loadCart (/srv/cart/src/cart.js:17:9)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
"""
GO = """goroutine 1 [running]:
runtime.panicIndex(0x3)
\t/usr/local/go/src/runtime/panic.go:88 +0x1
main.(*Cart).Total(0xc000010000)
\t/srv/cart/total.go:31 +0x5f
"""


@pytest.mark.parametrize(
    ("trace", "frame"),
    [
        (PYTHON.format(line=7), "/srv/shop/orders/stock.py:reserve"),
        (JAVA, "com.acme.orders.OrderRepository.find"),
        (NODE, "/srv/cart/src/cart.js:loadCart"),
        (GO, "/srv/cart/total.go:main.(*Cart).Total"),
        ("at node", ""),
        ("", ""),
    ],
)
def test_the_frame_is_the_innermost_one_of_the_program(trace: str, frame: str) -> None:
    assert program_frame(trace) == frame


def shape(
    message: str, stacktrace: str = "", *, operation: str = "POST /orders", last: int = 1, count: int = 1
) -> ErrorShape:
    return ErrorShape("orders", operation, "Timeout", message, stacktrace, count, 0, last, f"trace {last}")


def test_errors_of_one_place_are_one_group_across_messages_operations_and_edits() -> None:
    (group,) = grouped_errors(
        [
            shape("after 3 s", PYTHON.format(line=7), count=2, last=5),
            shape("no answer", PYTHON.format(line=9), operation="PUT /orders", count=3, last=9),
        ]
    )
    assert (group.count, group.last, group.message, group.trace_id) == (5, 9, "no answer", "trace 9")
    assert group.operations == ["POST /orders", "PUT /orders"]


def test_errors_without_a_stack_trace_are_told_apart_by_their_masked_message() -> None:
    groups = grouped_errors([shape("after 3 s"), shape("after 47 s", count=4), shape("no answer")])
    assert [(group.message, group.count) for group in groups] == [("after 3 s", 5), ("no answer", 1)]
    assert len({group.fingerprint for group in groups}) == 2
    assert all(len(group.fingerprint) == 12 for group in groups)


@pytest.mark.parametrize(
    "line", ["\n", " \n", "(", "at (", "((((\n", 'File "', "\t:1\n", "at a (:1:1", "at " + "a" * 300]
)
def test_hostile_stack_traces_end_as_fast_as_others(line: str) -> None:
    hostile = (line * 20_000)[:20_000]
    groups = grouped_errors(shape(f"message {number}", hostile) for number in range(100))
    assert sum(group.count for group in groups) == 100
