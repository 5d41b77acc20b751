"""Defines the section `claude`: the language model of claude_conversation, its conversations, tools and prices.

Continues `sections`, under the same rules: must not know files, environment variables or how values are merged.
"""

from dataclasses import asdict
from datetime import date
from math import isfinite
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import (
    Accepts,
    AlsoFrom,
    FilledText,
    OptionalSecret,
    OptionalText,
    OptionalUrl,
    Seconds,
    Switch,
    Texts,
    Whole,
)
from tfo_mcp.value_objects import value_object

_FIGURES = ("input", "output", "cache_read", "cache_write")


@value_object
class ModelPrice:
    """US dollars for a million tokens of a model, as of a date."""

    model: str
    date: str
    input: float
    output: float
    cache_read: float
    cache_write: float

    def plain(self) -> object:
        """Return the value as written in a configuration file: a mapping."""
        return asdict(self)


def _price(value: object) -> object:
    if isinstance(value, ModelPrice):
        return value
    if not isinstance(value, dict) or set(value) != {"model", "date", *_FIGURES}:
        raise ValueError("not a price")
    model, day = value["model"], value["date"]
    figures = [value[name] for name in _FIGURES]
    if not isinstance(model, str) or not model or not all(_is_figure(figure) for figure in figures):
        raise ValueError("not a price")
    known = day if isinstance(day, date) else date.fromisoformat(str(day))  # YAML reads dates
    return ModelPrice(model, known.isoformat(), *map(float, figures))


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0


ModelPrices = Annotated[
    list[Annotated[ModelPrice, BeforeValidator(_price)]],
    Accepts("a list of mappings of model, date (YYYY-MM-DD), input, output, cache_read and cache_write"),
]


class ClaudeSettings(Section):
    """The language model of the tool claude_conversation (docs/claude.md)."""

    provider: Literal["anthropic", "bedrock", "vertex"] = Field(
        default="anthropic",
        description="Where the model runs: the Anthropic API or a gateway with its API, Amazon Bedrock, or Vertex AI. "
        "The credentials of the latter two are those of the environment.",
    )
    api_key: Annotated[OptionalSecret, AlsoFrom("ANTHROPIC_API_KEY")] = Field(
        default=None,
        description="API key of the Anthropic API. Prefer an environment variable to a file. ANTHROPIC_API_KEY is "
        "used when the variable with this product's prefix is not set. Without a key, clients that offer sampling "
        "reply with their own model.",
    )
    base_url: OptionalUrl = Field(
        default=None, repr=False, description="Base URL of the Messages API. Unset: the default of the Anthropic SDK."
    )
    region: OptionalText = Field(
        default=None, description="Region of Bedrock or Vertex AI. Unset: that of the environment."
    )
    project: OptionalText = Field(default=None, description="Project of Vertex AI. Unset: that of the environment.")
    model: FilledText = Field(default="claude-sonnet-5-5", description="Model to use when a call names none.")
    models: Texts = Field(
        default=[],
        description="Models that calls may name, in addition to `model`. Empty: those that the API lists.",
    )
    max_tokens: Whole = Field(default=1024, ge=1, description="Maximum tokens of a reply when a call gives no maximum.")
    timeout_seconds: Seconds = Field(
        default=120.0, description="Maximum seconds of one reply of the API, including all retries."
    )
    silence_seconds: Seconds = Field(
        default=30.0, description="Seconds without any event after which a reply that has begun is given up."
    )
    max_retries: Whole = Field(default=2, ge=0, description="Maximum retries after a transient failure.")
    prompt_caching: Switch = Field(
        default=True,
        description="Whether tools, system prompt and history are marked for the prompt cache of the API.",
    )
    max_turns: Whole = Field(
        default=10, ge=1, le=100, description="Maximum replies of the model in one call, between which it uses tools."
    )
    unattended_tools: Texts = Field(
        default=[],
        description="Tools that change or run something, and that the model may use without asking the user each time.",
    )
    max_messages: Whole = Field(default=200, ge=2, description="Maximum messages of a conversation.")
    max_context_tokens: Whole = Field(
        default=200_000, ge=1, description="Tokens of its history above which a conversation is closed."
    )
    max_conversation_bytes: Whole = Field(
        default=4 * 1024 * 1024, ge=1024, description="Bytes of its history above which a conversation is closed."
    )
    max_conversations: Whole = Field(
        default=100,
        ge=1,
        description="Maximum conversations that are kept of one caller; a new one replaces the least recently used.",
    )
    conversation_idle_seconds: Seconds = Field(
        default=604_800.0, description="Seconds without use after which a conversation is deleted."
    )
    prices: ModelPrices = Field(
        default=[],
        description="Prices of models in US dollars per million tokens, each with the date it was read, for the "
        "estimated cost of calls. A model without a price has no known cost.",
    )
