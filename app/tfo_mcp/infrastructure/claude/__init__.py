"""The LanguageModel that uses the Anthropic SDK: its client, and the translation of requests, replies and failures."""

from tfo_mcp.infrastructure.claude.client import Claude, ClaudeOptions
from tfo_mcp.infrastructure.claude.connection import Provider
from tfo_mcp.infrastructure.claude.prices import Price

__all__ = ["Claude", "ClaudeOptions", "Price", "Provider"]
