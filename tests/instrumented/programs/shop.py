"""A shop with FastAPI. It knows nothing of telemetry: `opentelemetry-instrument` runs it."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, HTTPException
from redis.asyncio import Redis

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
redis = Redis.from_url(os.environ["SHOP_REDIS"], decode_responses=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep a pool of connections to the database."""
    async with asyncpg.create_pool(os.environ["SHOP_DATABASE"], min_size=1, max_size=4) as app.state.database:
        yield


async def health() -> None:
    """Answer as soon as the shop is open."""


async def order(number: int) -> dict[str, str]:
    """Return an order from the cache, otherwise from the database."""
    if cached := await redis.get(f"{app.title}:{number}"):
        return {"item": str(cached)}
    item = await app.state.database.fetchval("SELECT item FROM orders WHERE number = $1", number)
    if item is None:
        log.error("order %d is unknown", number)
        raise HTTPException(404)
    await redis.set(f"{app.title}:{number}", item)
    log.info("order %d was read from the database", number)
    return {"item": item}


async def broken() -> None:
    """Fail."""
    raise RuntimeError("the stock is inconsistent")


app = FastAPI(lifespan=lifespan)
app.add_api_route("/health", health)
app.add_api_route("/orders/{number}", order)
app.add_api_route("/broken", broken)
