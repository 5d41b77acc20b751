"""The dispatcher: one callable that serves calls of every protocol revision and transport.

Wraps the method table in the middleware once, at startup. Knows no frame, socket or protocol revision.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from tfo_mcp.presentation.methods.lifecycle import LifecycleMethods
from tfo_mcp.presentation.methods.prompts import PromptMethods
from tfo_mcp.presentation.methods.resources import ResourceMethods
from tfo_mcp.presentation.methods.skills import SkillMethods
from tfo_mcp.presentation.methods.subscriptions import SubscriptionMethods
from tfo_mcp.presentation.methods.tools import ToolMethods
from tfo_mcp.presentation.middleware import Middleware, Next
from tfo_mcp.presentation.middleware.audit import Audit
from tfo_mcp.presentation.middleware.authentication import Authentication
from tfo_mcp.presentation.middleware.authorization import Authorization
from tfo_mcp.presentation.middleware.faults import faults
from tfo_mcp.presentation.middleware.input_rounds import InputRounds
from tfo_mcp.presentation.middleware.outcome import note_outcome
from tfo_mcp.presentation.middleware.rate_limit import RateLimit
from tfo_mcp.presentation.middleware.stored_events import StoredEvents
from tfo_mcp.presentation.middleware.tracing import Tracing
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.faults import unknown_method

Method = Callable[[Call], Awaitable[bytes]]


def method_table(
    lifecycle: LifecycleMethods,
    tools: ToolMethods,
    resources: ResourceMethods,
    prompts: PromptMethods,
    subscriptions: SubscriptionMethods,
    skills: SkillMethods | None,
) -> Mapping[str, Method]:
    """Return the handlers of all methods of all revisions. `Revision.methods` decides which ones a client may call.

    `skills` is None if the server has none: their methods are then unknown.
    """
    return {
        **_skill_methods(skills),
        "initialize": lifecycle.initialize,
        "server/discover": lifecycle.discover,
        "ping": lifecycle.ping,
        "shutdown": lifecycle.shutdown,
        "logging/setLevel": lifecycle.set_level,
        "tools/list": tools.list,
        "tools/call": tools.call,
        "resources/list": resources.list,
        "resources/templates/list": resources.list_templates,
        "resources/read": resources.read,
        "resources/subscribe": resources.subscribe,
        "resources/unsubscribe": resources.unsubscribe,
        "prompts/list": prompts.list,
        "prompts/get": prompts.get,
        "completion/complete": prompts.complete,
        "subscriptions/listen": subscriptions.listen,
    }


def _skill_methods(skills: SkillMethods | None) -> Mapping[str, Method]:
    if skills is None:
        return {}
    methods: Mapping[str, Method] = {"skills/list": skills.list, "skills/get": skills.get}
    return {**methods, "resources/directory/read": skills.read_directory} if skills.reads_directories else methods


def middleware_chain(
    tracing: Tracing,
    audit: Audit,
    authentication: Authentication,
    rate_limit: RateLimit,
    authorization: Authorization,
    input_rounds: InputRounds,
    *,
    audit_required: bool,
    events_written: Callable[[], Awaitable[None]] | None = None,
) -> tuple[Middleware, ...]:
    """Return the middleware, outermost first.

    Args:
        audit_required: write an audit entry before a tool that is not read-only starts, and fail the call if the
            entry cannot be written.
        events_written: waits until the events of a call are stored; None if calls do not wait.
    """
    recording = (audit.record_start,) if audit_required else ()
    storing = () if events_written is None else (StoredEvents(events_written),)
    return (
        *(faults, tracing, audit, note_outcome, *storing),
        *(authentication, rate_limit, authorization, *recording, input_rounds),
    )


def build_dispatcher(methods: Mapping[str, Method], middleware: Sequence[Middleware]) -> Next:
    """Return a callable that runs the middleware and then the handler of the call's method."""

    async def run(call: Call) -> bytes:
        method = methods.get(call.method)
        if method is None:
            raise unknown_method(call.method)
        return await method(call)

    serve: Next = run
    for layer in reversed(middleware):
        serve = partial(layer, call_next=serve)
    return serve
