"""Admission: what the era checks once the caller is known."""

from app.presentation.middleware import Following
from app.presentation.protocol.call import Call


async def admission(call: Call, following: Following) -> bytes:
    """Serve the call if its era admits it."""
    await call.era.admit(call)
    return await following(call)
