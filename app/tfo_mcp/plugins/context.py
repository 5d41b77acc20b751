"""Context: the interface of plugin functions to their request and to the server.

`Context` is for `async def` functions, `SyncContext` for plain functions, which run in a worker thread. Both have the
same methods, but only `Context` offers files and commands. Knows no protocol revision: the eras implement questions
and streams.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, overload

import anyio.from_thread

from tfo_mcp.application.commands import AnnounceUpdate, ConversationReply, SendMessage
from tfo_mcp.application.context import LogLevel, RequestContext
from tfo_mcp.application.ports import (
    CommandOutcome,
    CommandRunner,
    FileStore,
    OnOutput,
    Program,
    TelemetryStore,
)
from tfo_mcp.application.ports.metric_service import MetricService
from tfo_mcp.application.queries import GetConversation, GetHealth, GetModelUsage, Health, ModelUsage
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.errors import MissingCapability, NotConfigured
from tfo_mcp.domain.interaction import (
    Answer,
    CapabilityName,
    Elicit,
    Elicited,
    ElicitUrl,
    ListRoots,
    Question,
    Roots,
    Sample,
    Sampled,
)
from tfo_mcp.plugins.calls import call_in_thread
from tfo_mcp.plugins.definitions import definition_of, registration, removal
from tfo_mcp.plugins.questions import check_answer, with_schema, with_value

T = TypeVar("T")
_DEFAULT_KEY = "answer"


class Context:
    """The request that an async function serves, with the services that it may use."""

    __slots__ = ("_asked", "_request")

    def __init__(self, request: RequestContext) -> None:
        self._request = request
        self._asked = 0

    @property
    def caller(self) -> Caller:
        """The authenticated caller."""
        return self._request.caller

    @property
    def cancelled(self) -> bool:
        """Whether the call was cancelled. Async functions are interrupted; plain functions should poll this."""
        return self._request.cancelled

    @property
    def files(self) -> FileStore:
        """Access to the files in the configured roots."""
        return self._request.services.files

    @property
    def commands(self) -> "Commands":
        """Runs commands on behalf of the caller."""
        return Commands(self._request.services.commands, self._request.caller.name)

    @property
    def telemetry(self) -> TelemetryStore:
        """The stored traces, logs and metrics that the caller may read.

        Raises:
            NotConfigured: the server has no telemetry store.
        """
        if self._request.services.telemetry is None:
            raise NotConfigured("This server has no telemetry store: its operator can set telemetry.store")
        return self._request.services.telemetry(self._request.caller)

    @property
    def metric_service(self) -> MetricService | None:
        """The metric service besides the telemetry store, None if there is none for the caller."""
        metrics = self._request.services.metrics
        return None if metrics is None else metrics(self._request.caller)

    @property
    def slos(self) -> Sequence[str]:
        """The objectives of observed services (telemetry.slos)."""
        return self._request.services.slos

    @property
    def max_result_bytes(self) -> int:
        """Maximum bytes of text, in UTF-8, that the result of a tool should have (tools.max_result_bytes)."""
        return self._request.services.max_result_bytes

    def configuration(self) -> Mapping[str, Any]:
        """Return the configuration in effect, without secrets."""
        return self._request.services.configuration()

    def supports(self, capability: CapabilityName | str) -> bool:
        """Return whether the client declared a capability, or the extension with this identifier."""
        return self._request.channel.supports(capability)

    def extension(self, identifier: str) -> dict[str, Any] | None:
        """Return the settings that the client declared for an extension, None if it does not support it.

        Empty if there are none, or if the settings of all its extensions have more than 4 KiB of JSON.
        """
        return self._request.channel.extension(identifier)

    def require(self, capability: CapabilityName) -> None:
        """End the request with a protocol error unless the client declared `capability`.

        Raises:
            MissingCapability: the client did not declare it.
        """
        if not self.supports(capability):
            raise MissingCapability({capability: {}})

    async def progress(self, value: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress. `value` must increase; a no-op unless the client requested progress."""
        await self._request.channel.progress(value, total, message)

    async def log(self, level: LogLevel, data: object, logger: str | None = None) -> None:
        """Send a log message to the client if its log level includes it. Do not put secrets into `data`."""
        await self._request.channel.log(level, data, logger)

    @overload
    async def ask(self, question: Elicit | ElicitUrl, key: str | None = ...) -> Elicited: ...
    @overload
    async def ask(self, question: Sample, key: str | None = ...) -> Sampled: ...
    @overload
    async def ask(self, question: ListRoots, key: str | None = ...) -> Roots: ...
    async def ask(self, question: Question, key: str | None = None) -> Answer:
        """Ask the client a question and return the answer.

        In the stateless era the function ends here. It runs again from the beginning when the client retries the
        request with the answer. Code before an `ask` must therefore be idempotent, and each question of a function
        needs its own `key`.

        Raises:
            MissingCapability: the client did not declare the capability that the question needs.
            InvalidAnswer: the answer does not fit the question.
        """
        return await self._ask(question, key)

    async def _ask(self, question: Question, key: str | None) -> Answer:
        self._asked += 1
        name = key or (_DEFAULT_KEY if self._asked == 1 else f"{_DEFAULT_KEY}_{self._asked}")
        return (await self.ask_all({name: question}))[name]

    async def ask_all(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Ask several questions together and return the answers by the same keys; see `ask`."""
        asked = {key: with_schema(question) for key, question in questions.items()}
        answers = await self._request.channel.ask(asked)
        for key, question in asked.items():
            check_answer(key, question, answers[key])
        return {key: with_value(question, answers[key]) for key, question in questions.items()}

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking function in a worker thread and return its result."""
        return await call_in_thread(partial(function, *arguments), self._request)

    async def release_stream(self, retry_ms: int = 1000) -> None:
        """Close the HTTP connection; the client resumes after `retry_ms` milliseconds. A no-op on other transports."""
        await self._request.channel.release_stream(retry_ms)

    async def register(self, function: Callable[..., Any]) -> None:
        """Register a decorated tool, resource or prompt; clients are notified that the list has changed."""
        await self._request.bus.handle(registration(definition_of(function)))

    async def unregister(self, function: Callable[..., Any]) -> None:
        """Remove a decorated tool, resource or prompt; clients are notified that the list has changed."""
        await self._request.bus.handle(removal(definition_of(function)))

    async def resource_updated(self, uri: str) -> None:
        """Notify the clients that subscribed to `uri` that its contents have changed."""
        await self._request.bus.handle(AnnounceUpdate(uri))

    async def health(self) -> Health:
        """Return the server's health report."""
        return await self._request.bus.handle(GetHealth())

    async def converse(
        self,
        text: str | None,
        model: str | None = None,
        system_prompt: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        **options: Any,
    ) -> ConversationReply:
        """Send a message to the language model and return its reply; code before it must be idempotent, as for `ask`.

        Args:
            options: the other fields of `SendMessage`, such as `conversation_id`, `resources`, `tools` and `max_turns`.
        """
        return await self._request.bus.handle(
            SendMessage(
                self._request,
                text,
                model=model,
                system_prompt=system_prompt,
                max_tokens=max_tokens,
                temperature=temperature,
                **options,
            )
        )

    async def conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation of the caller.

        Raises:
            ConversationNotFound: the caller has none with that id.
        """
        return await self._request.bus.handle(GetConversation(self.caller, conversation_id))

    async def model_usage(self) -> ModelUsage:
        """Return what the caller has used the language model for."""
        return await self._request.bus.handle(GetModelUsage(self.caller))


class Commands:
    """Runs commands in the sandbox on behalf of one caller."""

    __slots__ = ("_owner", "_runner")

    def __init__(self, runner: CommandRunner, owner: str) -> None:
        self._runner = runner
        self._owner = owner

    async def run(self, command: Program, on_output: OnOutput | None = None) -> CommandOutcome:
        """Run a command until it exits, times out or is cancelled; all its processes are killed then.

        Raises:
            OperationFailed: the command is not allowed or cannot be run; the message says why.
        """
        return await self._runner.run(command, self._owner, on_output)

    async def saved_output(self, name: str, first: int = 0, last: int | None = None) -> bytes:
        """Return the bytes of a saved output of this caller from offset `first` to `last` (exclusive).

        Raises:
            FileMissing: the output does not exist or has expired.
            OperationFailed: the range exceeds the read limit.
        """
        return await self._runner.saved_output(name, self._owner, first, last)


class SyncContext:
    """`Context` for plain functions: the same methods, but blocking, and without files and commands."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def caller(self) -> Caller:
        """The authenticated caller."""
        return self._context.caller

    @property
    def cancelled(self) -> bool:
        """Whether the call was cancelled."""
        return self._context.cancelled

    def supports(self, capability: CapabilityName | str) -> bool:
        """Return whether the client declared a capability, or the extension with this identifier."""
        return self._context.supports(capability)

    def extension(self, identifier: str) -> dict[str, Any] | None:
        """As `Context.extension`."""
        return self._context.extension(identifier)

    def require(self, capability: CapabilityName) -> None:
        """As `Context.require`."""
        self._context.require(capability)

    def progress(self, value: float, total: float | None = None, message: str | None = None) -> None:
        """As `Context.progress`."""
        self._wait(self._context.progress(value, total, message))

    def log(self, level: LogLevel, data: object, logger: str | None = None) -> None:
        """As `Context.log`."""
        self._wait(self._context.log(level, data, logger))

    @overload
    def ask(self, question: Elicit | ElicitUrl, key: str | None = ...) -> Elicited: ...
    @overload
    def ask(self, question: Sample, key: str | None = ...) -> Sampled: ...
    @overload
    def ask(self, question: ListRoots, key: str | None = ...) -> Roots: ...
    def ask(self, question: Question, key: str | None = None) -> Answer:
        """As `Context.ask`."""
        return self._wait(self._context._ask(question, key))

    def ask_all(self, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """As `Context.ask_all`."""
        return self._wait(self._context.ask_all(questions))

    @property
    def max_result_bytes(self) -> int:
        """As `Context.max_result_bytes`."""
        return self._context.max_result_bytes

    def configuration(self) -> Mapping[str, Any]:
        """As `Context.configuration`."""
        return self._context.configuration()

    def health(self) -> Health:
        """As `Context.health`."""
        return self._wait(self._context.health())

    def converse(
        self,
        text: str | None,
        model: str | None = None,
        system_prompt: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        **options: Any,
    ) -> ConversationReply:
        """As `Context.converse`."""
        return self._wait(self._context.converse(text, model, system_prompt, max_tokens, temperature, **options))

    def conversation(self, conversation_id: str) -> Conversation:
        """As `Context.conversation`."""
        return self._wait(self._context.conversation(conversation_id))

    def model_usage(self) -> ModelUsage:
        """As `Context.model_usage`."""
        return self._wait(self._context.model_usage())

    def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call the function directly: a plain function already runs in a worker thread."""
        return function(*arguments)

    def release_stream(self, retry_ms: int = 1000) -> None:
        """As `Context.release_stream`."""
        self._wait(self._context.release_stream(retry_ms))

    def register(self, function: Callable[..., Any]) -> None:
        """As `Context.register`."""
        self._wait(self._context.register(function))

    def unregister(self, function: Callable[..., Any]) -> None:
        """As `Context.unregister`."""
        self._wait(self._context.unregister(function))

    def resource_updated(self, uri: str) -> None:
        """As `Context.resource_updated`."""
        self._wait(self._context.resource_updated(uri))

    @staticmethod
    def _wait(work: Coroutine[Any, Any, T]) -> T:
        async def run() -> T:
            return await work

        return anyio.from_thread.run(run)
