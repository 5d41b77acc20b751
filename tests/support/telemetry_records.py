"""Records of telemetry for tests: short ways to write spans, and a large trace of a shop."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from tfo_mcp.application.ports.telemetry_store import LogRecord, Span, SpanEvent

MS = 1_000_000
START = 1_764_410_400_000_000_000  # 2025-11-29T10:00:00Z
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


_STATEMENTS: Sequence[tuple[int, str, Callable[[int], str]]] = (
    (9, "gateway", lambda n: f"GET /cart/{n} 200 in {n % 90} ms"),
    (9, "orders", lambda n: f"Reserved item {n} of user u-{n % 50} at 10.0.{n % 7}.1"),
    (9, "stock", lambda n: f"cache {'hit' if n % 3 else 'miss'} for sku {n * 7}"),
    (5, "stock", lambda n: f"query took {n % 40}.{n % 10} ms: SELECT * FROM stock WHERE sku = '{n}'"),
    (13, "orders", lambda n: f"retry {n % 3} of request {n:032x} after timeout"),
    (17, "payment", lambda n: f"Payment of order {n} failed: card declined by {('visa', 'amex')[n // 100 % 2]}"),
)


def span(span_id: str, parent: str, name: str, start: float, duration: float, **more: Any) -> Span:
    """Return a span of the service `shop`; start and duration in milliseconds, ids written short."""
    return Span(
        TRACE_ID, _whole(span_id), _whole(parent), more.pop("service", "shop"), name, START + int(start * MS),
        int(duration * MS), **more,
    )  # fmt: skip


def failed(kind: str, message: str) -> Mapping[str, Any]:
    """Return the fields of a span that ended with an exception."""
    event = SpanEvent(START, "exception", {"exception.type": kind, "exception.message": message})
    return {"status": "error", "events": (event,)}


def shop_trace(items: int = 40) -> Sequence[Span]:
    """Return the trace of an order: four services, 4 spans per item (one SELECT each, an N+1), and one failed payment.

    It has 10 + 4 * items spans.
    """
    ids = count(1)

    def new() -> str:
        return f"{next(ids):x}"

    root, order, payment, charge = new(), new(), new(), new()
    length = 60 + items * 20
    spans = [
        span(root, "", "POST /checkout", 0, length, service="gateway", kind="server"),
        span(order, root, "POST /orders", 2, length - 4, service="orders", kind="server"),
    ]
    for item in range(items):
        at = 5 + item * 20
        handle, query, rpc = new(), new(), new()
        sql = {"db.system": "postgresql", "db.query.text": f"SELECT * FROM stock WHERE sku = {item}"}
        spans += [
            span(handle, order, "reserve item", at, 19, service="orders"),
            span(query, order, "SELECT stock", at + 1, 6, service="orders", kind="client", attributes=sql),
            span(rpc, handle, "GET /stock/{sku}", at + 8, 9, service="orders", kind="client"),
            span(new(), rpc, "GET /stock/{sku}", at + 9, 7, service="stock", kind="server"),
        ]
    late = 5 + items * 20
    spans += [
        span(payment, order, "POST /pay", late, 40, service="orders", kind="client", status="error"),
        span(
            charge, payment, "POST /pay", late + 1, 38, service="payment", kind="server",
            **failed("CardDeclined", "card 4111 declined\nby issuer"),
        ),
        *(span(new(), charge, f"step {step}", late + 2 + step * 6, 5, service="payment") for step in range(6)),
    ]  # fmt: skip
    return spans


def shop_logs(count: int = 2000) -> Sequence[LogRecord]:
    """Return log records of the shop within 10 s before `START`: six statements, of which one is an error."""
    records = []
    for number in range(count):
        severity, service, body = _STATEMENTS[number % 5 if number % 100 else 5]
        trace_id, span_id = (TRACE_ID, _whole("1")) if severity == 17 else ("", "")
        moment = START - (count - number) * 5 * MS
        records.append(LogRecord(moment, service, body(number), severity, "", trace_id, span_id))
    return records


def _whole(short: str) -> str:
    return short.rjust(16, "0") if short else ""
