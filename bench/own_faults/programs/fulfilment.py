"""The fulfilment worker: takes orders from a queue in Redis, and writes shipments to PostgreSQL.

An order that fails goes back to the queue: one that can never succeed is tried for ever.
"""

import asyncio
import json
import logging
import os
from typing import Any

import asyncpg
from opentelemetry import propagate, trace
from redis.asyncio import Redis

log = logging.getLogger("fulfilment")
log.setLevel(logging.INFO)
tracer = trace.get_tracer("fulfilment")
PAUSE = 0.2
"""Seconds before an order is tried again."""


async def fulfil(order: dict[str, Any], database: asyncpg.Pool) -> None:
    """Write the shipments of an order."""
    for number in order["items"]:
        await database.execute("INSERT INTO shipments (product) VALUES ($1)", number)
    log.info("order of product %d was shipped", order["product"])


async def process(text: str, database: asyncpg.Pool, redis: Redis) -> None:
    """Process an order; put it back if it fails."""
    order = json.loads(text)
    context = propagate.extract(order.get("context", {}))
    try:
        with tracer.start_as_current_span("process order", context, trace.SpanKind.CONSUMER):
            try:
                await fulfil(order, database)
            except Exception:
                log.exception("order of product %s cannot be fulfilled", order.get("product"))
                raise
    except Exception:  # recorded by the span
        await asyncio.sleep(PAUSE)
        await redis.rpush("orders", text)


async def main() -> None:
    """Work until the process ends."""
    redis = Redis.from_url(os.environ["SHOP_REDIS"], decode_responses=True)
    async with asyncpg.create_pool(os.environ["SHOP_DATABASE"], min_size=1, max_size=2) as database:
        while True:
            if found := await redis.brpop(["orders"], timeout=1):
                await process(str(found[1]), database, redis)


if __name__ == "__main__":
    asyncio.run(main())
