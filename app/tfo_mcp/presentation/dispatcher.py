"""The dispatcher: one callable that serves any call, whatever its revision and transport.

Folds the middleware around the method table once, at start. Knows no frame, no socket and no revision.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from tfo_mcp.presentation.methods.lifecycle import LifecycleMethods
from tfo_mcp.presentation.methods.prompts import PromptMethods
from tfo_mcp.presentation.methods.resources import ResourceMethods
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
) -> Mapping[str, Method]:
    """Return every method that some revision has; which one has which is the revision's to say."""
    return {
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


def middleware_chain(
    tracing: Tracing,
    audit: Audit,
    authentication: Authentication,
    rate_limit: RateLimit,
    authorization: Authorization,
    input_rounds: InputRounds,
    *,
    audit_required: bool,
) -> tuple[Middleware, ...]:
    """Return the middleware, outermost first; with `audit_required`, changes are recorded before they begin."""
    recording = (audit.record_start,) if audit_required else ()
    return (
        *(faults, tracing, audit, note_outcome),
        *(authentication, rate_limit, authorization, *recording, input_rounds),
    )


def build_dispatcher(methods: Mapping[str, Method], middleware: Sequence[Middleware]) -> Next:
    """Return the callable that serves calls: the middleware around the method that a call names."""

    async def run(call: Call) -> bytes:
        method = methods.get(call.method)
        if method is None:
            raise unknown_method(call.method)
        return await method(call)

    serve: Next = run
    for layer in reversed(middleware):
        serve = partial(layer, call_next=serve)
    return serve
