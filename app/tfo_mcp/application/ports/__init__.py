"""Ports: the interfaces to everything outside of the application, named for the need.

Adapters in `tfo_mcp.infrastructure` implement them. Handlers and the presentation access the outside world only
through ports.
"""

from tfo_mcp.application.ports.access import AuditEntry, AuditLog, Decision, KeyStore, RateStore, TokenVerifier
from tfo_mcp.application.ports.cache import Cache, Lookup
from tfo_mcp.application.ports.commands import CommandOutcome, CommandRunner, OnOutput, Output, Program
from tfo_mcp.application.ports.conversations import ConversationStore, ConversationSummary
from tfo_mcp.application.ports.events import EventLog, EventLogUnavailable, Outbox, OutboxBatch, RecordedEvent
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
from tfo_mcp.application.ports.model import (
    LanguageModel,
    ModelFailed,
    ModelReply,
    ModelRequest,
    OnAbandoned,
    OnText,
    ToolOffer,
)
from tfo_mcp.application.ports.services import Services
from tfo_mcp.application.ports.skills import SkillLibrary
from tfo_mcp.application.ports.state import (
    EventBus,
    EventT,
    ReplicaChannel,
    Room,
    Sealer,
    SessionBus,
    SessionStore,
    StreamId,
    StreamLog,
    Use,
)
from tfo_mcp.application.ports.telemetry import ModelCall, Operation, Telemetry, Trace
from tfo_mcp.application.ports.telemetry_store import TelemetryStore
from tfo_mcp.application.ports.usage import DailyUsage, UsageStore
from tfo_mcp.application.ports.work import Attempt, DeadLetter, Job, WorkQueue, WorkQueueUnavailable
from tfo_mcp.application.ports.workers import Workers

__all__ = [
    "Attempt",
    "AuditEntry",
    "AuditLog",
    "Cache",
    "CommandOutcome",
    "CommandRunner",
    "Contents",
    "ConversationStore",
    "ConversationSummary",
    "DailyUsage",
    "DeadLetter",
    "Decision",
    "Edit",
    "Edited",
    "EventBus",
    "EventLog",
    "EventLogUnavailable",
    "EventT",
    "FileEntry",
    "FileInfo",
    "FileRoot",
    "FileStore",
    "FileType",
    "FileWatcher",
    "Filter",
    "Job",
    "KeyStore",
    "LanguageModel",
    "Lines",
    "Listing",
    "Lookup",
    "Match",
    "Matches",
    "ModelCall",
    "ModelFailed",
    "ModelReply",
    "ModelRequest",
    "Names",
    "OnAbandoned",
    "OnOutput",
    "OnText",
    "Operation",
    "Outbox",
    "OutboxBatch",
    "Output",
    "Program",
    "Progress",
    "RateStore",
    "RecordedEvent",
    "ReplicaChannel",
    "Room",
    "Sealer",
    "Services",
    "SessionBus",
    "SessionStore",
    "SkillLibrary",
    "StreamId",
    "StreamLog",
    "Telemetry",
    "TelemetryStore",
    "TextPart",
    "TokenVerifier",
    "ToolOffer",
    "Trace",
    "UsageStore",
    "Use",
    "WorkQueue",
    "WorkQueueUnavailable",
    "Workers",
    "Write",
    "WriteMode",
    "Written",
]
