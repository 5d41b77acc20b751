"""The twelve faults: how each is switched on and off, and what a right first finding names.

A finding is right if its service and its first row fit, and if a row of that service has every text of `named`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from bench.own_faults.shop import INDEX, NEW, OLD, Shop

Row = Mapping[str, str]
CATEGORY, PRODUCT = "GET /categories/{name}", "GET /products/{number}"
OWN_TIME, FAILED, CALLS = "own time", "failed spans", "calls per span"
RECORDS, METRIC, VALUE, CHILD = "records of this per span", "metric", "spans with this value", "spans with this call"
CLOCK = "clock ahead or behind"


@dataclass(frozen=True)
class OwnFault:
    """A fault: `running` is a block in which it exists.

    `service` and the first row that `is_right` accepts are what a right answer begins with.
    """

    name: str
    running: Callable[[Shop], AbstractContextManager[None]]
    service: str
    is_right: Callable[[Row], bool]
    named: Sequence[str] = ()


def shows(changes: Sequence[str], operation: str = "", of: str = "") -> Callable[[Row], bool]:
    """Return whether a row is one of these changes, in an operation and of a subject with these texts."""
    return lambda row: row["change"] in changes and operation in row["operation"] and of in row["of"]


def switched(name: str, value: object = True, usual: object = False) -> Callable[[Shop], AbstractContextManager[None]]:
    """Return the fault that is a switch of the services."""

    @contextmanager
    def running(shop: Shop) -> Iterator[None]:
        shop.switch(name, value)
        try:
            yield
        finally:
            shop.switch(name, usual)

    return running


@contextmanager
def missing_index(shop: Shop) -> Iterator[None]:
    """Drop the index of categories."""
    shop.sql("DROP INDEX of_category")
    try:
        yield
    finally:
        shop.sql(INDEX)


@contextmanager
def bad_version(shop: Shop) -> Iterator[None]:
    """Send all requests for the catalog to its new version."""
    shop.switch("catalog", shop.catalogs[NEW])
    try:
        yield
    finally:
        shop.switch("catalog", shop.catalogs[OLD])


@contextmanager
def held_lock(shop: Shop) -> Iterator[None]:
    """Lock the accounts for most of the time, as a long maintenance transaction does."""
    end = Event()
    statement = "BEGIN; LOCK TABLE accounts IN EXCLUSIVE MODE; SELECT pg_sleep(0.4); COMMIT"

    def hold() -> None:
        while not end.wait(0.1):
            shop.sql(statement)

    thread = Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextmanager
def slow_bank(shop: Shop) -> Iterator[None]:
    """Let the bank take a quarter of a second."""
    shop.bank.seconds = 0.25
    try:
        yield
    finally:
        shop.bank.recover()


@contextmanager
def refusing_bank(shop: Shop) -> Iterator[None]:
    """Let the bank refuse three of four requests, so that each payment asks it several times."""
    shop.bank.one_of = 4
    try:
        yield
    finally:
        shop.bank.recover()


@contextmanager
def poison_record(shop: Shop) -> Iterator[None]:
    """Queue an order without items, which can never be fulfilled."""
    shop.redis.command("LPUSH", "orders", json.dumps({"product": 3, "items": None}))
    try:
        yield
    finally:
        shop.redis.command("DEL", "orders")


FAULTS: Sequence[OwnFault] = (
    OwnFault(
        "missing index",
        missing_index,
        "catalog",
        lambda row: shows([OWN_TIME], f"in {CATEGORY}")(row) and row["operation"].startswith("SELECT"),
    ),
    OwnFault("N+1", switched("single prices"), "catalog", shows([CALLS], CATEGORY, "SELECT")),
    OwnFault("lock", held_lock, "payment", shows([OWN_TIME], "UPDATE")),
    OwnFault("exhausted pool", switched("lost connections"), "payment", shows([OWN_TIME, FAILED], "pg-pool.connect")),
    OwnFault("slow dependency", slow_bank, "payment", shows([OWN_TIME], "POST in POST /payments")),
    OwnFault("retry storm", refusing_bank, "payment", shows([CALLS], "/payments", "POST in POST /payments")),
    OwnFault(
        "cache off by a flag",
        switched("cache", False, True),
        "catalog",
        shows([VALUE, CHILD, CALLS], PRODUCT),
        ["feature flag product-cache = off"],
    ),
    OwnFault(
        "bad version",
        bad_version,
        "catalog",
        shows([VALUE, FAILED, RECORDS], PRODUCT),
        [f"service.version = {NEW}", FAILED],
    ),
    OwnFault("leak", switched("receipts"), "payment", shows([METRIC], of="memory")),
    OwnFault("poison record", poison_record, "fulfilment", shows([FAILED, RECORDS], "process order")),
    OwnFault("skewed clock", switched("clock", 3.0, 0.0), "catalog", shows([CLOCK])),
    OwnFault("log flood", switched("debug"), "catalog", shows([RECORDS], CATEGORY), ["row of category"]),
)
