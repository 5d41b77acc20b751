"""Asks a server all questions by its plans, and judges the answers.

A question is answered if its answers have what is known and take at most MOST_TOKENS.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.evaluation.day import AskedQuestion, Day
from bench.evaluation.peers.session import PeerSession, Plan, contains
from tests.support.tokenizer import real_tokens

MOST_TOKENS = 100_000
"""Of all answers to a question: half of the context of a usual model."""
MOST_CALLS = 4
_PIECE = 100_000


@dataclass(frozen=True)
class PeerAnswer:
    """The result of one question.

    `tokens` are those of the answers, `sent_tokens` those of the calls, which a model writes. `reason` says why the
    question is not answered.
    """

    key: str
    question: str
    is_answered: bool
    tokens: int
    sent_tokens: int
    calls: int
    reason: str


def ask_all(
    session: PeerSession, asked: Sequence[AskedQuestion], plans: Mapping[str, Plan], day: Day
) -> list[PeerAnswer]:
    """Return the judged answers to all questions."""
    return [_ask(session, question, plans[question.key], day) for question in asked]


def _ask(session: PeerSession, question: AskedQuestion, plan: Plan, day: Day) -> PeerAnswer:
    if not plan.calls:
        return PeerAnswer(question.key, question.text, False, 0, 0, 0, plan.reason)
    calls = plan.calls[:MOST_CALLS]
    texts = [session.call(call) for call in calls]
    tokens = sum(_tokens(text) for text in texts)
    sent = sum(real_tokens(json.dumps({"name": call.tool, "arguments": call.arguments})) for call in calls)
    reason = _fault(texts, question, plan, day)
    if not reason and tokens > MOST_TOKENS:
        reason = f"the answer has {tokens:,} tokens"
    return PeerAnswer(question.key, question.text, not reason, tokens, sent, len(texts), reason)


def _tokens(text: str) -> int:
    """Return the tokens of a text, which the tokenizer takes in pieces."""
    return sum(real_tokens(text[place : place + _PIECE]) for place in range(0, len(text), _PIECE))


def _fault(texts: Sequence[str], question: AskedQuestion, plan: Plan, day: Day) -> str:
    """Return why answers are not right; nothing if they are."""
    known = question.known if plan.known is None else plan.known
    if plan.is_first:
        named = [_first_service(text, day) for text in texts]
        return "" if known[0] in named else f"the first services are {', '.join(named)}"
    return "" if contains("\n".join(texts), known, plan.tolerance) else "the answer lacks what is known"


def _first_service(text: str, day: Day) -> str:
    """Return the service that the text names first."""
    found = re.search(rf"(?<![\w-])({'|'.join(re.escape(each) for each in day.by_service)})(?![\w-])", text)
    return "none" if found is None else found[1]
