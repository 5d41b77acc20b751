"""Admission: what the era checks once the caller is known, and the account that the call's work is charged to."""

from app.application.fair_limiter import current_account
from app.presentation.middleware import Following
from app.presentation.protocol.call import Call


async def admission(call: Call, following: Following) -> bytes:
    """Serve the call if its era admits it."""
    current_account.set(call.facts.account)  # the task serves this call alone
    await call.era.admit(call)
    return await following(call)
