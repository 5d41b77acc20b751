"""Claude: builds the language model and the limits of its conversations from the settings."""

from tfo_mcp.application.ports import Telemetry
from tfo_mcp.application.turns import TurnLimits
from tfo_mcp.domain.conversation import ConversationLimits
from tfo_mcp.infrastructure.claude import Claude, ClaudeOptions, Price, Provider
from tfo_mcp.infrastructure.config import Settings

_MARGIN_SECONDS = 5.0


def claude_of(settings: Settings, telemetry: Telemetry) -> Claude:
    """Return the language model."""
    section = settings.claude
    provider = Provider(
        section.provider,
        section.api_key.get_secret_value() if section.api_key is not None else None,
        section.base_url,
        section.region,
        section.project,
    )
    options = ClaudeOptions(
        model=section.model,
        models=tuple(section.models),
        max_tokens=section.max_tokens,
        timeout_seconds=section.timeout_seconds,
        silence_seconds=section.silence_seconds,
        max_retries=section.max_retries,
        caches_prompts=section.prompt_caching,
        prices={
            price.model: Price(price.input, price.output, price.cache_read, price.cache_write)
            for price in section.prices
        },
    )
    return Claude(provider, options, telemetry)


def turn_limits_of(settings: Settings) -> TurnLimits:
    """Return the limits of conversations and their turns."""
    section = settings.claude
    limits = ConversationLimits(section.max_messages, section.max_context_tokens, section.max_conversation_bytes)
    return TurnLimits(limits, section.max_turns, section.timeout_seconds + _MARGIN_SECONDS)
