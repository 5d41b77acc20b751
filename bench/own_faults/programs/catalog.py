"""The catalog: products in PostgreSQL, cached in Redis unless a feature flag is off.

Switches: `single prices` (N+1), `cache` (the flag), `debug` (the log level). `SHOP_DISCOUNTS` is the code of version
1.5.0, which fails for products without a discount.
"""

import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException
from opentelemetry import trace
from redis.asyncio import Redis

from bench.own_faults.programs import clock
from bench.own_faults.programs.switches import switch

clock.install()
log = logging.getLogger("catalog")
redis = Redis.from_url(os.environ["SHOP_REDIS"], decode_responses=True)
DISCOUNTS = {number: number % 7 for number in range(1000) if number % 3}

JOINED = """SELECT products.number, name, cents FROM products JOIN prices USING (number)
WHERE category = $1 ORDER BY rank LIMIT 20"""
LISTED = "SELECT number, name FROM products WHERE category = $1 ORDER BY rank LIMIT 20"
PRICE = "SELECT cents FROM prices WHERE number = $1"
PRODUCT = "SELECT number, name, cents FROM products JOIN prices USING (number) WHERE number = $1"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep a pool of connections to the database."""
    async with asyncpg.create_pool(os.environ["SHOP_DATABASE"], min_size=1, max_size=6) as app.state.database:
        yield


async def health() -> None:
    """Answer as soon as the service is open."""


async def category(name: str) -> list[dict[str, Any]]:
    """Return the first products of a category with their prices."""
    log.setLevel(logging.DEBUG if switch("debug") else logging.INFO)
    database = app.state.database
    if switch("single prices"):
        rows = [dict(row) for row in await database.fetch(LISTED, name)]
        for row in rows:
            row["cents"] = await database.fetchval(PRICE, row["number"])
    else:
        rows = [dict(row) for row in await database.fetch(JOINED, name)]
    for row in rows:
        log.debug("row of category %s: product %d costs %d cents", name, row["number"], row["cents"])
    log.info("category %s has %d products", name, len(rows))
    return rows


async def product(number: int) -> dict[str, Any]:
    """Return a product from the cache, otherwise from the database."""
    is_cached = bool(switch("cache", True))
    variant = {"feature_flag.key": "product-cache", "feature_flag.result.variant": "on" if is_cached else "off"}
    trace.get_current_span().add_event("feature_flag.evaluation", variant)
    found = await redis.get(f"product:{number}") if is_cached else None
    if found is not None:
        return discounted(json.loads(found))
    row = await app.state.database.fetchrow(PRODUCT, number)
    if row is None:
        log.error("product %d is unknown", number)
        raise HTTPException(404)
    if is_cached:
        await redis.set(f"product:{number}", json.dumps(dict(row)))
    return discounted(dict(row))


def discounted(row: dict[str, Any]) -> dict[str, Any]:
    """Return a product with the price that a customer pays."""
    if "SHOP_DISCOUNTS" in os.environ:
        row["cents"] -= DISCOUNTS[row["number"]]
    return row


app = FastAPI(lifespan=lifespan)
app.add_api_route("/health", health)
app.add_api_route("/categories/{name}", category)
app.add_api_route("/products/{number}", product)
