"""Checks a caller's SELECT, which is written in DuckDB's dialect, and returns it as a tree of nodes.

sqlglot parses the text. Only nodes that are listed here may occur, and a store generates its statement from them,
quoted, so that nothing is executed that was not understood. Left out are functions that reach files, settings or the
process, and those that make text or lists longer, since DuckDB does not count the memory of values. Casts become
TRY_CAST, and errors of values are not passed on: their messages would quote stored text.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import cast

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from tfo_mcp.domain.text import close_name

MAX_LENGTH = 4000
DIALECT = "duckdb"
_NUMBER = re.compile(r"\d[\d.]*(?:[eE][+-]?\d+)?|\.\d+")
_WORD = re.compile(r"[A-Za-z_]+")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_CLAUSES: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With, exp.CTE, exp.From, exp.Join),
        *(exp.Table, exp.TableAlias, exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.Limit),
        *(exp.Offset, exp.Distinct, exp.Window, exp.WindowSpec, exp.Filter, exp.IgnoreNulls, exp.Unnest, exp.Explode),
        *(
            exp.Alias,
            exp.Column,
            exp.Identifier,
            exp.Star,
            exp.Literal,
            exp.Null,
            exp.Boolean,
            exp.Paren,
            exp.Interval,
            exp.Var,
        ),
        *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike, exp.Exists),
        *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Case, exp.If, exp.Cast, exp.TryCast),
        *(exp.DataType, exp.Bracket, exp.Slice, exp.Dot, exp.Array),
        *(exp.JSONExtractScalar, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript),
    }
)
_FUNCTIONS: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Count, exp.CountIf, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Median, exp.Mode, exp.AnyValue, exp.First),
        *(exp.Last, exp.ArgMax, exp.ArgMin, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop),
        *(exp.Corr, exp.Quantile, exp.PercentileCont, exp.PercentileDisc, exp.ApproxQuantile, exp.ApproxDistinct),
        *(exp.LogicalAnd, exp.LogicalOr, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs, exp.Round),
        *(exp.Floor, exp.Ceil, exp.Sqrt, exp.Ln, exp.Log, exp.Exp, exp.Pow, exp.Sign, exp.Lower, exp.Upper, exp.Length),
        *(exp.Trim, exp.Left, exp.Right, exp.Substring, exp.SplitPart, exp.StrPosition, exp.StartsWith, exp.EndsWith),
        *(exp.Contains, exp.RegexpExtract, exp.Extract, exp.DateTrunc, exp.TimestampTrunc, exp.DateBin, exp.DateDiff),
        *(exp.Year, exp.Month, exp.Day, exp.DayOfWeek, exp.Hour, exp.Minute, exp.Second, exp.TimeToStr, exp.TimeToUnix),
        *(exp.MapKeys, exp.ArrayContains, exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist),
        *(exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue),
    }
)
_NAMED_FUNCTIONS = frozenset(
    {"cardinality", "element_at", "entropy", "epoch_ns", "mad", "make_timestamp_ns", "map_contains", "map_extract"}
)
"""Functions that sqlglot knows by name only."""
_TYPES = frozenset(
    {
        *(exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT, exp.DataType.Type.BOOLEAN, exp.DataType.Type.INT),
        *(exp.DataType.Type.BIGINT, exp.DataType.Type.UBIGINT, exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT),
        *(exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMP_NS),
        *(exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.INTERVAL),
    }
)

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # its warnings quote statements


class InvalidSelect(ValueError):
    """A text that is not a SELECT as it may be; the message says what is wrong."""


def checked_select(text: str, tables: Collection[str], most_rows: int, now: datetime) -> exp.Query:
    """Return a SELECT that may be executed.

    Args:
        tables: the names of the tables that it may read.
        most_rows: a larger or missing LIMIT becomes this one.
        now: what `now()` means; the statement has it as a time without zone, in UTC.

    Raises:
        InvalidSelect: it may not be executed.
    """
    query = _parsed(text)
    _check_sources(query, tables)
    for node in list(query.walk()):
        _check(node)
    _limit(query, most_rows)
    return cast(exp.Query, rewritten(query, lambda node: _replaced(node, now)))


def rewritten(query: exp.Expr, rewrite: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return a statement whose nodes are rewritten, those inside of a node before the node itself.

    Args:
        rewrite: returns a new node, or the one that it was given.
    """
    for node in reversed(list(query.walk())):  # breadth first: what is inside comes later
        new = rewrite(node)
        if new is node:
            continue
        if node is query:
            return new
        node.replace(new)
    return query


def _parsed(text: str) -> exp.Query:
    if len(text) > MAX_LENGTH:
        raise InvalidSelect(f"It has {len(text)} characters; the maximum is {MAX_LENGTH}")
    try:
        statements = [each for each in parse(text, dialect=DIALECT) if each is not None]
    except SqlglotError as problem:
        raise InvalidSelect(_place_of(problem)) from None
    except RecursionError:
        raise InvalidSelect("It is nested too deeply") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.SetOperation | exp.Subquery):
        raise InvalidSelect("Write exactly one SELECT; other statements are not possible")
    return statements[0]


def _place_of(problem: SqlglotError) -> str:
    errors = getattr(problem, "errors", ())
    if not errors:
        return "It is not valid SQL of DuckDB"
    first = errors[0]
    return f"Line {first.get('line')}, column {first.get('col')}: {first.get('description')}"


def _check_sources(query: exp.Query, tables: Collection[str]) -> None:
    """Check that every table is one of the store's, or a WITH before it at the beginning of the statement."""
    beginning = query.args.get("with_")
    if isinstance(beginning, exp.With) and beginning.args.get("recursive"):
        raise InvalidSelect("WITH RECURSIVE is not possible")
    if sum(1 for _ in query.find_all(exp.With)) > (beginning is not None):
        raise InvalidSelect("Write every WITH at the beginning of the statement")
    known = set(tables)
    parts: list[exp.Expr] = list(beginning.expressions) if beginning is not None else []
    seen: set[int] = set()
    for part in parts:
        seen.update(map(id, _check_tables(part, known)))
        name = part.alias.lower()
        if not _NAME.fullmatch(name) or name in tables:
            raise InvalidSelect("A WITH needs a name of letters, digits and _, which is not a table's")
        known.add(name)
    for table in query.find_all(exp.Table):
        if id(table) not in seen:
            _check_table(table, known)


def _check_tables(part: exp.Expr, known: Collection[str]) -> Iterator[exp.Table]:
    for table in part.find_all(exp.Table):
        _check_table(table, known)
        yield table


def _check_table(table: exp.Table, known: Collection[str]) -> None:
    given = {name for name, value in table.args.items() if value}
    if not isinstance(table.this, exp.Identifier) or not given <= {"this", "alias"}:
        raise InvalidSelect(f"Only these tables can be read, without a prefix: {', '.join(sorted(known))}")
    if table.name.lower() not in known:
        near = close_name(table.name.lower(), known)
        hint = f"Did you mean {near}?" if near else f"There are {', '.join(sorted(known))}"
        raise InvalidSelect(f"There is no table {table.name[:60]}. {hint}")


def _check(node: exp.Expr) -> None:
    kind = type(node)
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in _NAMED_FUNCTIONS | {"now"}:
            raise InvalidSelect(f"The function {node.name[:60]} is not available")
    elif kind is exp.CurrentTimestamp or kind in _FUNCTIONS:
        pass
    elif kind not in _CLAUSES:
        name = node.sql_name() if isinstance(node, exp.Func) else kind.__name__
        raise InvalidSelect(f"{name.upper()} is not available")
    _check_values(node)


def _check_values(node: exp.Expr) -> None:
    match node:
        case exp.DataType() if node.this not in _TYPES or node.expressions:
            raise InvalidSelect("Casts are possible to VARCHAR, BOOLEAN, INT, BIGINT, DOUBLE, DATE and TIMESTAMP")
        case exp.Array() if not all(isinstance(item, exp.Literal) for item in node.expressions):
            raise InvalidSelect("A list can have literals only")
        case exp.Literal() if not node.is_string and not _NUMBER.fullmatch(node.name):
            raise InvalidSelect(f"{node.name[:60]} is not a number")
        case exp.Var() if not _WORD.fullmatch(node.name):
            raise InvalidSelect(f"{node.name[:60]} is not available")
        case exp.Dot() if not isinstance(node.expression, exp.Identifier):
            raise InvalidSelect("Write function(value) instead of value.function()")
        case exp.Limit() | exp.Offset() if not node.expression.is_int:
            raise InvalidSelect("LIMIT and OFFSET need a number")


def _replaced(node: exp.Expr, now: datetime) -> exp.Expr:
    if isinstance(node, exp.CurrentTimestamp) or (isinstance(node, exp.Anonymous) and node.name.lower() == "now"):
        moment = now.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
        return exp.TryCast(this=exp.Literal.string(moment), to=exp.DataType.build("TIMESTAMP"))
    if type(node) is exp.Cast:
        return exp.TryCast(this=node.this, to=node.to)
    return node


def _limit(query: exp.Query, most_rows: int) -> None:
    limit = query.args.get("limit")
    if limit is None or int(limit.expression.name) > most_rows:
        query.set("limit", exp.Limit(expression=exp.Literal.number(most_rows)))
