"""KnownModels: the names and limits of models, from the configuration and from the models endpoint of the API.

The endpoint is asked on first need and at most once an hour. Gateways need not have it: then only the API itself knows
whether a model exists.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio

from tfo_mcp.domain.conversation import ModelSettings
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.text import shortened
from tfo_mcp.infrastructure.claude.requests import ThinkingKind
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_FRESH_SECONDS = 3600.0
_RETRY_SECONDS = 60.0
_LONGEST_WAIT = 5.0
_MOST_MODELS = 1000
_MOST_LISTED = 50


@value_object
class ModelFacts:
    """What the endpoint says about a model; None if it does not."""

    max_tokens: int | None
    thinking: tuple[ThinkingKind, ...] | None


class KnownModels:
    """Checks the settings of conversations.

    Args:
        default: the configured default model.
        configured: the models that calls may name; if empty, those of the endpoint.
        has_endpoint: whether the provider has a models endpoint.
    """

    def __init__(
        self,
        default: str,
        configured: Sequence[str],
        *,
        has_endpoint: bool,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._default = default
        self._configured = (default, *configured) if configured else ()
        self._has_endpoint = has_endpoint
        self._clock = clock
        self._facts: dict[str, ModelFacts] = {}
        self._expires = float("-inf")
        self._asking = anyio.Lock()

    async def check(self, settings: ModelSettings, client: "AsyncAnthropic", max_seconds: float) -> None:
        """Check settings that differ from the configured ones.

        Args:
            max_seconds: how long the endpoint may take.

        Raises:
            OperationFailed: the model is unknown, or does not support the settings.
        """
        model = settings.model or self._default
        if self._configured:
            self._require_among(model, self._configured)
        facts = await self._facts_of(client, min(max_seconds, _LONGEST_WAIT))
        if facts and not self._configured and model != self._default:
            self._require_among(model, facts)
        found = _of(model, facts)
        if found is not None and found.max_tokens is not None and settings.max_tokens > found.max_tokens:
            raise OperationFailed(
                f"max_tokens {settings.max_tokens} is above the maximum of {model}: {found.max_tokens}"
            )
        if settings.thinking_tokens is not None:
            _check_thinking(settings, settings.thinking_tokens, model, found)

    async def hint(self, model: str, client: "AsyncAnthropic", max_seconds: float) -> str:
        """Return a sentence with the known models for an error about a model, empty if it is one of them."""
        facts = await self._facts_of(client, min(max_seconds, _LONGEST_WAIT))
        return f". {_listed(facts)}" if facts and _of(model, facts) is None else ""

    def thinking_of(self, model: str) -> ThinkingKind:
        """Return how a model is asked to think."""
        found = _of(model, self._facts)
        return "adaptive" if found is not None and found.thinking and "enabled" not in found.thinking else "enabled"

    def _require_among(self, model: str, known: Sequence[str] | dict[str, ModelFacts]) -> None:
        if any(_is_named(model, each) for each in known):
            return
        raise OperationFailed(f"Unknown model: {shortened(model)}. {_listed(known)}")

    async def _facts_of(self, client: "AsyncAnthropic", max_seconds: float) -> dict[str, ModelFacts]:
        if not self._has_endpoint:
            return {}
        async with self._asking:
            if self._clock() >= self._expires:
                await self._ask(client, max_seconds)
        return self._facts

    async def _ask(self, client: "AsyncAnthropic", max_seconds: float) -> None:
        found: dict[str, ModelFacts] = {}
        self._expires = self._clock() + _RETRY_SECONDS
        try:
            with anyio.fail_after(max_seconds):
                async for info in client.with_options(max_retries=0).models.list(limit=100):
                    found[str(info.id)] = _facts(info)
                    if len(found) >= _MOST_MODELS:
                        break
        except Exception:  # an optional service: what it is, the request itself will show
            return
        self._facts, self._expires = found, self._clock() + _FRESH_SECONDS


def _listed(known: Iterable[str]) -> str:
    return f"Known models: {', '.join(islice(known, _MOST_LISTED))}"


def _facts(info: Any) -> ModelFacts:
    most = info.max_tokens if isinstance(info.max_tokens, int) and info.max_tokens > 0 else None
    thinking = getattr(getattr(info, "capabilities", None), "thinking", None)
    if thinking is None:
        return ModelFacts(most, None)
    kinds: tuple[ThinkingKind, ...] = ("enabled", "adaptive")
    types = getattr(thinking, "types", None)
    return ModelFacts(most, tuple(kind for kind in kinds if getattr(getattr(types, kind, None), "supported", False)))


def _of(model: str, facts: dict[str, ModelFacts]) -> ModelFacts | None:
    return facts.get(model) or next((facts[each] for each in facts if _is_named(model, each)), None)


def _is_named(model: str, known: str) -> bool:
    """Return whether a name is that of a known model, perhaps without its date."""
    return known == model or (known.startswith(f"{model}-") and known[len(model) + 1 :].isdigit())


def _check_thinking(settings: ModelSettings, budget: int, model: str, found: ModelFacts | None) -> None:
    if budget >= settings.max_tokens:
        raise OperationFailed(
            f"thinking_tokens {budget} must be below max_tokens {settings.max_tokens}, which includes them"
        )
    if settings.temperature is not None:
        raise OperationFailed("temperature and thinking_tokens exclude each other: give only one of them")
    if found is not None and found.thinking == ():
        raise OperationFailed(f"The model {model} does not support extended thinking: leave out thinking_tokens")
