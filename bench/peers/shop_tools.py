"""The tools of the shop workload for servers in Python: Redis through redis-py, the catalog's HTTP API through aiohttp.

The product and the Python SDK serve the same functions. `BENCH_REDIS_URL` and `BENCH_API_URL` say where both are.
"""

from __future__ import annotations

import json
import os
from functools import cache

import aiohttp
from redis.asyncio import Redis


@cache
def _redis() -> Redis:
    return Redis.from_url(os.environ["BENCH_REDIS_URL"], decode_responses=True)


@cache
def _api() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(os.environ["BENCH_API_URL"])


async def search_products(category: str, limit: int) -> str:
    """Search the catalog, with the most popular products of the category."""
    async with _api().get("/products", params={"category": category, "limit": limit}) as response:
        products = await response.json()
    popular = await _redis().zrevrange(f"popular:{category}", 0, 4)
    return json.dumps({"products": products, "popular": popular})


async def get_cart(user: str) -> str:
    """Return the cart of a user, and the latest orders."""
    async with _redis().pipeline(transaction=False) as pipeline:
        pipeline.hgetall(f"cart:{user}")
        pipeline.zrevrange(f"orders:{user}", 0, 4)
        cart, orders = await pipeline.execute()
    return json.dumps({"user": user, "cart": cart, "orders": orders})


async def checkout(user: str, product: str, quantity: int) -> str:
    """Order a product at the price that the catalog quotes."""
    async with _api().post("/quotes", json={"product": product, "quantity": quantity}) as response:
        order = await response.json()
    async with _redis().pipeline(transaction=False) as pipeline:
        pipeline.zadd(f"orders:{user}", {product: 1})
        pipeline.zincrby(f"popular:{product.partition('-')[0]}", quantity, product)
        await pipeline.execute()
    return json.dumps({"user": user, "order": order})


TOOLS = (search_products, get_cart, checkout)
