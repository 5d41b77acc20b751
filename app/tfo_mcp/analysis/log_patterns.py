"""Mines patterns of log messages, in the manner of Drain (He et al., ICWS 2017).

Messages with equally many tokens and the same beginning are compared; one that agrees with a pattern in most of its
words joins it, and the words that differ become `<*>`. Each message is visited once. Counts come from the store's
shapes, so that the cost depends on the variety of messages and not on their number.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tfo_mcp.analysis.masks import MASK, masked
from tfo_mcp.application.ports.telemetry_store import LogShape

_TOKEN = re.compile(r"\s+|[,;=|()\[\]{}]|[^\s,;=|()\[\]{}]+")
_LIST = re.compile(r"<\*>(?:,? ?<\*>)+")
_MOST_TOKENS = 120
_MOST_CHARACTERS = 1000
_MOST_CANDIDATES = 200
_SIMILARITY = 0.65
_SHORT = 4
"""Messages with fewer words join a pattern only if at most one word differs."""
_MOST_TRACES = 3
_MOST_VALUES = 200
_BURST = 0.6
"""Part of all records within one part of the window that makes a burst."""


@dataclass(slots=True, eq=False)
class LogPattern:
    """Log records with one pattern. `counts` are per equal part of the window, `example` is a whole message."""

    tokens: list[str]
    example: str
    first: int
    last: int
    counts: list[int]
    severity: int
    services: Counter[str] = field(default_factory=Counter)
    trace_ids: list[str] = field(default_factory=list)
    values: list[Counter[str]] = field(default_factory=list)

    @property
    def template(self) -> str:
        """The pattern, with `<*>` for its variable parts."""
        return "".join(self.tokens)

    @property
    def count(self) -> int:
        """The number of records."""
        return sum(self.counts)

    def trend(self) -> str:
        """Return `burst N` (in the N-th part, from 1), `rising`, `falling` or `steady`."""
        count, parts = self.count, len(self.counts)
        most = max(self.counts)
        if count >= 5 and parts > 2 and most >= count * _BURST:
            return f"burst {self.counts.index(most) + 1}"
        early, late = sum(self.counts[: parts // 2]), sum(self.counts[(parts + 1) // 2 :])
        if late > 1.5 * early + 2:
            return "rising"
        return "falling" if early > 1.5 * late + 2 else "steady"

    def telling_values(self, most: int = 2) -> list[tuple[int, list[tuple[str, float]]]]:
        """Return the variable parts with few values: their number, from 1, and commonest values with their shares."""
        telling = []
        for number, known in enumerate(self.values, 1):
            total = sum(known.values())
            if 2 <= len(known) <= max(2, total // 3) and not any(map(_is_id, known)):
                telling.append((number, [(value, count / total) for value, count in known.most_common(3)]))
        return telling[:most]

    def observe(self, message: str) -> None:
        """Count the variable parts of a message of this pattern."""
        values = _values(self.template, _beginning(message))
        if len(self.values) != len(values):
            self.values = [Counter() for _ in values]
        for known, value in zip(self.values, values, strict=True):
            if len(known) < _MOST_VALUES or value in known:
                known[value] += 1


class LogPatterns:
    """The patterns of the messages that were added."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[int, str], list[LogPattern]] = defaultdict(list)

    def __iter__(self) -> Iterator[LogPattern]:
        """Iterate over the patterns."""
        return (pattern for bucket in self._buckets.values() for pattern in bucket)

    def add(self, shape: LogShape) -> None:
        """Add the records of a shape; the first shapes form the patterns, so add the most frequent first."""
        tokens = _tokens(shape.body)
        pattern = self._match(tokens)
        if pattern is None:
            pattern = LogPattern(tokens, shape.body, shape.first, shape.last, [0] * len(shape.counts), shape.severity)
            bucket = self._buckets[_key(tokens)]
            if len(bucket) < _MOST_CANDIDATES:
                bucket.append(pattern)
            else:
                pattern = bucket[-1]  # the last pattern takes what is too varied to be told apart
        _merge(pattern, tokens)
        pattern.first, pattern.last = min(pattern.first, shape.first), max(pattern.last, shape.last)
        pattern.severity = max(pattern.severity, shape.severity)
        pattern.counts = [own + new for own, new in zip(pattern.counts, shape.counts, strict=True)]
        pattern.services[shape.service] += shape.count
        pattern.trace_ids += [each for each in shape.trace_ids if each not in pattern.trace_ids]
        del pattern.trace_ids[_MOST_TRACES:]

    def match(self, message: str) -> LogPattern | None:
        """Return the pattern that a message would join."""
        return self._match(_tokens(message))

    def _match(self, tokens: Sequence[str]) -> LogPattern | None:
        words = sum(map(_is_word, tokens))
        best, most = None, 0
        for pattern in self._buckets.get(_key(tokens), ()):
            same = _same_words(pattern.tokens, tokens)
            if same > most:
                best, most = pattern, same
        if words == 0:
            return best if best is not None else next(iter(self._buckets.get(_key(tokens), ())), None)
        needed = words - 1 if words < _SHORT else words * _SIMILARITY
        return best if most >= max(1, needed) else None


def patterns_of(shapes: Iterable[LogShape]) -> LogPatterns:
    """Return the patterns of shapes, of which the most frequent come first."""
    patterns = LogPatterns()
    for shape in shapes:
        patterns.add(shape)
    return patterns


def _is_id(value: str) -> bool:
    """Return whether a variable part is an id or a time, which tells nothing by its frequency."""
    return len(value) > 7 and masked(value) == MASK


def _beginning(message: str) -> str:
    return message[:_MOST_CHARACTERS].strip().partition("\n")[0]


def _tokens(message: str) -> list[str]:
    found = _TOKEN.findall(_LIST.sub(MASK, masked(_beginning(message))))
    return found if len(found) <= _MOST_TOKENS else [*found[:_MOST_TOKENS], MASK]


def _key(tokens: Sequence[str]) -> tuple[int, str]:
    first = tokens[0] if tokens else ""
    return len(tokens), MASK if MASK in first else first


def _is_word(token: str) -> bool:
    return token[0].isalnum() or (len(token) > 1 and not token.isspace())


def _same_words(pattern: Sequence[str], tokens: Sequence[str]) -> int:
    """Return the number of words that agree; 0 if punctuation or a space differs."""
    same = 0
    for own, other in zip(pattern, tokens, strict=True):
        if own == other:
            same += _is_word(own)
        elif not (_is_word(own) and _is_word(other)):
            return 0
    return same


def _merge(pattern: LogPattern, tokens: Sequence[str]) -> None:
    pattern.tokens = [own if own == other else MASK for own, other in zip(pattern.tokens, tokens, strict=True)]


def _values(template: str, message: str) -> list[str]:
    """Return the parts of a message at the `<*>` of a pattern; those that cannot be located are empty."""
    literals = template.split(MASK)
    values: list[str] = []
    position = len(literals[0]) if message.startswith(literals[0]) else -1
    for literal in literals[1:]:
        end = -1
        if position >= 0:
            end = message.find(literal, position) if literal else len(message)
        values.append(message[position:end] if end >= 0 else "")
        position = end + len(literal) if end >= 0 else -1
    return values
