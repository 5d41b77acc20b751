"""TokenUsage: the tokens that requests to a language model took, and their estimated cost.

Owns the arithmetic. Knows no price: a cost that is not known stays unknown in every sum.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tfo_mcp.value_objects import value_object


@value_object
class TokenUsage:
    """Numbers of tokens, and the cost in US dollars, None if the price of the model is not known.

    `input` excludes the tokens that were read from the prompt cache (`cache_read`) or written to it (`cache_write`).
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost: float | None = 0.0

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def document(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "TokenUsage":
        """Return the usage that `document` describes."""
        return cls(**document)


NO_USAGE = TokenUsage()
"""Nothing used, at no cost."""
