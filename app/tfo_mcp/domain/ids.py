"""Identifiers of aggregates.

Owns the generation of ids: unguessable, URL-safe, visible ASCII. Knows nothing about their use.
"""

import re
import secrets
from typing import NewType

SessionId = NewType("SessionId", str)
ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)

_ID = re.compile(r"[A-Za-z0-9_-]{32}")
_ENTROPY_BYTES = 24  # 192 bits; the protocol's security guide requires 128 for session ids


def new_session_id() -> SessionId:
    """Return a fresh session id: 32 URL-safe characters, 192 random bits."""
    return SessionId(secrets.token_urlsafe(_ENTROPY_BYTES))


def new_conversation_id() -> ConversationId:
    """Return a fresh conversation id: 32 URL-safe characters, 192 random bits."""
    return ConversationId(secrets.token_urlsafe(_ENTROPY_BYTES))


def is_conversation_id(text: str) -> bool:
    """Return whether a text has the form of a conversation id."""
    return _ID.fullmatch(text) is not None


def new_message_id() -> MessageId:
    """Return a fresh message id: 32 URL-safe characters, 192 random bits."""
    return MessageId(secrets.token_urlsafe(_ENTROPY_BYTES))
