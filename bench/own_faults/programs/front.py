"""The shop front: asks the catalog and the payment service, and queues orders for fulfilment in Redis."""

import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException
from opentelemetry import propagate
from redis.asyncio import Redis

from bench.own_faults.programs.switches import switch

log = logging.getLogger("front")
log.setLevel(logging.INFO)
redis = Redis.from_url(os.environ["SHOP_REDIS"], decode_responses=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep connections to the other services."""
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as app.state.client:
        yield


async def health() -> None:
    """Answer as soon as the service is open."""


async def ask(method: str, url: str, **more: Any) -> Any:
    """Return the answer of another service.

    Raises:
        HTTPException: it failed.
    """
    answer = await app.state.client.request(method, url, **more)
    if answer.is_error:
        log.error("%s answered %d", httpx.URL(url).path, answer.status_code)
        raise HTTPException(502)
    return answer.json()


def catalog() -> str:
    """Return the base URL of the catalog in use."""
    return str(switch("catalog"))


async def category(name: str) -> Any:
    """Return the products of a category."""
    return await ask("GET", f"{catalog()}/categories/{name}")


async def product(number: int) -> Any:
    """Return a product."""
    return await ask("GET", f"{catalog()}/products/{number}")


async def order(number: int) -> dict[str, Any]:
    """Sell a product."""
    bought = await ask("GET", f"{catalog()}/products/{number}")
    payment = {"account": number % 50 + 1, "cents": bought["cents"]}
    paid = await ask("POST", f"{os.environ['SHOP_PAYMENT']}/payments", json=payment)
    context: dict[str, str] = {}
    propagate.inject(context)
    await redis.lpush("orders", json.dumps({"product": number, "items": [number], "context": context}))
    log.info("order of product %d was accepted", number)
    return {"paid": paid["cents"]}


app = FastAPI(lifespan=lifespan)
app.add_api_route("/health", health)
app.add_api_route("/categories/{name}", category)
app.add_api_route("/products/{number}", product)
app.add_api_route("/orders/{number}", order, methods=["POST"])
