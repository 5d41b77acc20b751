"""Ports: the Protocols of all that is outside, named for the need.

Adapters in `app.infrastructure` fulfil them; handlers and the presentation use nothing else of the outside world.
"""

from app.application.ports.access import AuditEntry, AuditLog, Decision, KeyStore, RateStore, TokenVerifier
from app.application.ports.commands import Command, CommandOutcome, CommandRunner, OnOutput, Output
from app.application.ports.files import (
    Contents,
    Edit,
    Edited,
    FileEntry,
    FileInfo,
    FileRoot,
    FileStore,
    FileType,
    FileWatcher,
    Filter,
    Lines,
    Listing,
    Match,
    Matches,
    Names,
    Progress,
    TextPart,
    Write,
    WriteMode,
    Written,
)
from app.application.ports.model import LanguageModel, ModelReply, ModelRequest
from app.application.ports.services import Services
from app.application.ports.state import EventBus, EventT, Sealer, SessionBus, SessionStore, StreamId, StreamLog
from app.application.ports.telemetry import ModelCall, Operation, Telemetry, Trace

__all__ = [
    "AuditEntry",
    "AuditLog",
    "Command",
    "CommandOutcome",
    "CommandRunner",
    "Contents",
    "Decision",
    "Edit",
    "Edited",
    "EventBus",
    "EventT",
    "FileEntry",
    "FileInfo",
    "FileRoot",
    "FileStore",
    "FileType",
    "FileWatcher",
    "Filter",
    "KeyStore",
    "LanguageModel",
    "Lines",
    "Listing",
    "Match",
    "Matches",
    "ModelCall",
    "ModelReply",
    "ModelRequest",
    "Names",
    "OnOutput",
    "Operation",
    "Output",
    "Progress",
    "RateStore",
    "Sealer",
    "Services",
    "SessionBus",
    "SessionStore",
    "StreamId",
    "StreamLog",
    "Telemetry",
    "TextPart",
    "TokenVerifier",
    "Trace",
    "Write",
    "WriteMode",
    "Written",
]
