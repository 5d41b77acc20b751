"""The port of the telemetry store: traces, logs and metrics of observed programs, queried by the telemetry tools.

Owns the records and the primitive queries. Interpretation (trees, patterns, budgets) belongs to `tfo_mcp.analysis`,
which is the same for every store. Knows neither an engine nor OTLP. Times and durations are nanoseconds; times count
from 1970.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol, TypeAlias

from tfo_mcp.application.ports.telemetry_metrics import MetricPoints
from tfo_mcp.application.ports.telemetry_query import FieldName, Measure, Place, Predicate, Selection, Signal, Window
from tfo_mcp.value_objects import value_object

AttributeValue: TypeAlias = str | bool | int | float
"""Arrays and maps are JSON texts. A store whose schema holds text only returns text."""
Attributes: TypeAlias = Mapping[str, AttributeValue]
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
SpanStatus = Literal["unset", "ok", "error"]
TraceOrder = Literal["slowest", "latest", "errors"]
"""By duration, start or number of spans with errors, each descending; equals by start, descending."""
TimeOrder = Literal["latest", "earliest"]
FeatureKind = Literal[
    "self_time", "between", "clock", "errors", "child", "calls", "log", "ratio", "metric", "level", "value"
]
"""Own time; the part of a client's span outside of its callee's; the time by which a callee's span begins outside of
its client's; failed spans; children; logged messages; messages and calls that have a fixed ratio, which no store
returns; gauges; sums that also fall; versions of the service and variants of feature flags."""


@value_object
class SpanEvent:
    """An event of a span; an exception is an event of this name."""

    time: int
    name: str
    attributes: Attributes = field(default_factory=dict)


@value_object
class SpanLink:
    """A reference to a span that is not the parent."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=dict)


@value_object
class Span:
    """A span. Ids are lower-case hexadecimal; `parent_span_id` is empty for a root."""

    trace_id: str
    span_id: str
    parent_span_id: str
    service: str
    name: str
    start: int
    duration: int
    kind: SpanKind = "unspecified"
    status: SpanStatus = "unset"
    status_message: str = ""
    attributes: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
    links: Sequence[SpanLink] = ()
    scope: str = ""
    trace_state: str = ""

    @property
    def end(self) -> int:
        """The time at which the span ended."""
        return self.start + self.duration


@value_object
class StoredTrace:
    """The earliest spans of a trace, the number of all its spans, and log records per span id ("" without a span)."""

    spans: Sequence[Span]
    total: int
    logs: Mapping[str, int] = field(default_factory=dict)


@value_object
class TraceSummary:
    """A trace as a whole: `root` is its earliest span without a stored parent.

    `slowest` is its longest span without children, but the root. Both are pairs of service and operation.
    """

    trace_id: str
    start: int
    duration: int
    spans: int
    errors: int
    root: tuple[str, str]
    slowest: tuple[str, str]
    slowest_duration: int


@value_object
class LogRecord:
    """A log record; `severity` is OpenTelemetry's number, 0 if unknown."""

    time: int
    service: str
    body: str
    severity: int = 0
    severity_text: str = ""
    trace_id: str = ""
    span_id: str = ""
    attributes: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    event_name: str = ""


@value_object
class LogShape:
    """Log records that are equal once numbers and ids in their bodies are masked.

    `counts` are the records per equal part of the window, `trace_ids` up to three examples. `body` is the whole body
    of one record.
    """

    service: str
    severity: int
    body: str
    first: int
    last: int
    counts: Sequence[int]
    trace_ids: Sequence[str] = ()

    @property
    def count(self) -> int:
        """The number of records."""
        return sum(self.counts)


@value_object
class ErrorShape:
    """Spans with status error that agree in service, operation, exception type and masked message.

    The texts are those of the latest of them; without an exception event, `message` is the status message.
    """

    service: str
    operation: str
    exception_type: str
    message: str
    stacktrace: str
    count: int
    first: int
    last: int
    trace_id: str


@value_object
class ServiceSummary:
    """A service in a window.

    `requests` are its spans of kind server or consumer and its root spans; errors and percentiles are theirs.
    `versions` are the values of service.version, the latest first.
    """

    name: str
    versions: Sequence[str]
    first: int
    last: int
    requests: int
    errors: int
    p50: float | None
    p95: float | None
    spans: int
    logs: int
    error_logs: int
    points: int


@value_object
class FieldSummary:
    """A column or attribute: records that have it, its number of values (approximate), and the commonest of them."""

    name: str
    place: Place | None
    records: int
    distinct: int
    values: Sequence[tuple[str, int]]
    numeric: bool = False


@value_object
class FieldSummaries:
    """The fields of a selection, the commonest first, and the number of its records."""

    records: int
    fields: Sequence[FieldSummary]


@value_object
class MetricSummary:
    """A metric of a selection. `kind` is gauge, sum, histogram, exponential_histogram or summary."""

    name: str
    kind: str
    unit: str
    description: str
    temporality: str
    monotonic: bool
    services: Sequence[str]
    points: int


@value_object
class AggregateRow:
    """The measures of a group, in a part of the window that begins at `start` (None for the whole window)."""

    group: tuple[str | None, ...]
    start: int | None
    values: tuple[float | None, ...]


@value_object
class Aggregate:
    """The largest groups by the first measure, the remaining ones as one (its group is empty), and their number."""

    rows: Sequence[AggregateRow]
    rest: Sequence[AggregateRow]
    groups: int


@value_object
class ServiceEdge:
    """Calls from one service to another, a database or a queue.

    `callee_seen` is false where the callee sent no spans; its name is then from the caller's attributes. Percentiles
    are durations of the caller's and of the callee's spans; `overhead` is the mean of their differences per call.
    """

    caller: str
    callee: str
    callee_seen: bool
    calls: int
    errors: int
    caller_p95: float
    callee_p95: float | None
    overhead: float | None


@value_object
class FeatureSeries:
    """A feature of an operation over parts of a period; parts in which the operation did not run are missing.

    An operation is the name of a span, with ` > ` and the callee of a client's span, and ` in ` and the entry of its
    service. `subject` is the child, the masked log body, `NAME = VALUE`, or the metric, which has no operation.
    `counts` are the spans of the operation in a part. Values of self_time, between and clock are medians in ns, those
    of errors, child and value shares of the spans, those of calls and log children and records per span, those of
    metrics means. `trace_id` is an example of the latest part.
    """

    kind: FeatureKind
    service: str
    operation: str
    subject: str
    parts: Sequence[int]
    counts: Sequence[int]
    values: Sequence[float]
    trace_id: str


@value_object
class StoreStatus:
    """The contents and addresses of a store; the numbers count what its caller may read.

    `otlp_http` and `otlp_grpc` are URLs to send to, None where the store does not receive. `notices` are sentences
    for the caller: ports that were taken, records that were dropped, what this store cannot do.
    """

    earliest: int | None
    latest: int | None
    spans: int
    logs: int
    points: int
    otlp_http: str | None = None
    otlp_grpc: str | None = None
    key_required: bool = False
    notices: Sequence[str] = ()


Cell: TypeAlias = str | bool | int | float | None


@value_object
class SelectedRows:
    """The rows of a SELECT; `complete` is false if there are more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    complete: bool


class TelemetryStore(Protocol):
    """Queries of stored telemetry. Every query has a deadline, and ends when its call is cancelled.

    The methods raise StateUnavailable while the store cannot be reached, and OperationFailed with a message for the
    caller if a query exceeds the limits of the store.
    """

    def restricted(self, rows: Predicate) -> "TelemetryStore":
        """Return this store without the records that do not match; every query and the status respect it."""

    async def status(self) -> StoreStatus:
        """Return the contents and the addresses."""

    async def services(self, window: Window) -> Sequence[ServiceSummary]:
        """Return the services that sent anything, the most spans first."""

    async def fields(
        self, signal: Signal, selection: Selection, *, about: str | None, values: int, limit: int
    ) -> FieldSummaries:
        """Return up to `limit` fields with their `values` commonest values; `about` is a part of their names."""

    async def metrics(self, selection: Selection, *, about: str | None, limit: int) -> Sequence[MetricSummary]:
        """Return up to `limit` metrics, the most points first; `about` is a part of their names."""

    async def metric_points(self, name: str, selection: Selection, *, limit: int) -> MetricPoints:
        """Return the series of a metric, none if they have more than `limit` values; each bucket is a value."""

    async def traces(
        self, selection: Selection, *, order: TraceOrder, limit: int, offset: int = 0
    ) -> Sequence[TraceSummary]:
        """Return the traces that have a selected span; the summaries cover whole traces."""

    async def trace(self, trace_id: str, limit: int) -> StoredTrace:
        """Return a trace, whenever it happened; it has no spans if the id is unknown."""

    async def spans(self, selection: Selection, *, order: TimeOrder, limit: int, offset: int = 0) -> Sequence[Span]:
        """Return selected spans by their start."""

    async def logs(self, selection: Selection, *, order: TimeOrder, limit: int, offset: int = 0) -> Sequence[LogRecord]:
        """Return selected log records by their time."""

    async def log_shapes(self, selection: Selection, *, parts: int, limit: int) -> Sequence[LogShape]:
        """Return the shapes of selected log records, the most records first, counted in `parts` parts of the window."""

    async def error_shapes(self, selection: Selection, *, limit: int) -> Sequence[ErrorShape]:
        """Return the shapes of selected spans with status error, the most spans first."""

    async def aggregate(
        self,
        signal: Signal,
        selection: Selection,
        measures: Sequence[Measure],
        *,
        by: Sequence[FieldName] = (),
        every: int | None = None,
        limit: int = 20,
    ) -> Aggregate:
        """Return measures per group of equal values of `by`, and per `every` nanoseconds."""

    async def edges(self, window: Window) -> Sequence[ServiceEdge]:
        """Return the calls between services, the most calls first."""

    async def features(
        self, selection: Selection, *, origin: int, length: int, one_of: int = 1
    ) -> Sequence[FeatureSeries]:
        """Return features per part. Children and logs count if selected too.

        Args:
            selection: the spans.
            origin: the time at which part 0 begins, in nanoseconds since 1970.
            length: of a part, in nanoseconds.
            one_of: reads 1 of this number of traces, chosen by their ids.
        """

    async def select(self, text: str, *, most_rows: int) -> SelectedRows:
        """Return up to `most_rows` rows of one SELECT in the store's SQL, which can only read the tables of telemetry.

        Raises:
            OperationFailed: it is not such a SELECT, exceeds a limit, or the caller's row rules cannot be applied.
        """
