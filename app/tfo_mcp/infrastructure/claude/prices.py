"""Prices: what tokens of a model cost, as the operator has configured it. A model without a price has no known cost."""

from collections.abc import Mapping
from dataclasses import replace

from tfo_mcp.domain.token_usage import TokenUsage
from tfo_mcp.value_objects import value_object

_PER = 1_000_000


@value_object
class Price:
    """US dollars for a million tokens of each kind."""

    input: float
    output: float
    cache_read: float
    cache_write: float


class Prices:
    """Prices by model."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = prices

    def priced(self, usage: TokenUsage, *models: str) -> TokenUsage:
        """Return the usage with its cost, by the first of the names that has a price; None if none of them has."""
        price = next((self._prices[model] for model in models if model in self._prices), None)
        if price is None:
            return replace(usage, cost=None if usage.total else 0.0)
        dollars = (
            usage.input * price.input
            + usage.output * price.output
            + usage.cache_read * price.cache_read
            + usage.cache_write * price.cache_write
        )
        return replace(usage, cost=dollars / _PER)
