"""Builds the budgets of clients from the settings `limits.*`."""

from tfo_mcp.application.budgets import Budget, ClientBudgets
from tfo_mcp.infrastructure.config import Settings

_CLIENTS = 16  # total capacity as a multiple of the limit per client


def budgets_of(settings: Settings) -> ClientBudgets:
    """Return new budgets with the limits of the settings."""
    limits = settings.limits

    def budget(name: str, setting: str, per_account: int) -> Budget:
        return Budget(name, per_account, _CLIENTS * per_account, f"limits.{setting}")

    return ClientBudgets(
        budget("open streams", "streams", limits.streams),
        budget("subscriptions", "subscriptions", limits.subscriptions),
        budget("bytes of requests in progress", "request_bytes", limits.request_bytes),
        budget("bytes of unread responses", "response_bytes", limits.response_bytes),
    )
