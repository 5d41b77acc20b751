"""A real tokenizer (o200k), against which tests hold the estimates and budgets of the telemetry tools."""

import warnings
from functools import cache
from typing import Any


def real_tokens(text: str) -> int:
    """Return the number of tokens of a text."""
    return len(_encoding().encode(text))


@cache
def _encoding() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package opens its vocabulary in an old way
        import bpe_openai

        return bpe_openai.get_encoding("o200k_base")
