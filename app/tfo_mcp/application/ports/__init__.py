"""Ports: the interfaces to everything outside of the application, named for the need.

Adapters in `tfo_mcp.infrastructure` implement them. Handlers and the presentation access the outside world only
through ports.
"""

from tfo_mcp.application.ports.access import AuditEntry, AuditLog, Decision, KeyStore, RateStore, TokenVerifier
from tfo_mcp.application.ports.commands import CommandOutcome, CommandRunner, OnOutput, Output, Program
from tfo_mcp.application.ports.files import (
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
from tfo_mcp.application.ports.model import LanguageModel, ModelReply, ModelRequest
from tfo_mcp.application.ports.services import Services
from tfo_mcp.application.ports.state import EventBus, EventT, Sealer, SessionBus, SessionStore, StreamId, StreamLog
from tfo_mcp.application.ports.telemetry import ModelCall, Operation, Telemetry, Trace

__all__ = [
    "AuditEntry",
    "AuditLog",
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
    "Program",
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
