"""Redaction of secrets and card numbers in telemetry, before it is stored.

Owns the names of attributes whose values are never stored, and the forms of secrets in texts. Must not know OTLP.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

_Result = TypeVar("_Result")

REDACTED = "[redacted]"
_NAMES = (
    r"authorization|cookie|password|passwd|pwd|passphrase|secret|token|api[._-]?key|access[._-]?key|private[._-]?key"
    r"|credentials?|connection[._-]?string"
)
_SECRETS = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<pair>\b(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|sig|signature)[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s&\"',;]{4,}"
    r"|(?P<user>://[^\s/:@]{1,256}:)[^\s/@]{1,256}(?=@)"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b(?:sk|pk|rk|ghp|gho|ghs|xox[abp])[-_][A-Za-z0-9_-]{16,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.IGNORECASE,
)
_CARD = re.compile(
    r"(?<![\w.-])(?:[3-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![\w.-])"
)
_SHORTEST = 8
_MOST_KNOWN = 20_000
_LONGEST_KNOWN = 256


class Redaction:
    """Decides which values are stored.

    Args:
        names: names of further attributes whose values are not stored; case is ignored.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        own = "|".join(rf"^{re.escape(name)}$" for name in names)
        secret = re.compile(rf"(?:{_NAMES})$" + (f"|{own}" if own else ""), re.IGNORECASE)
        self.hidden: Mapping[str, bool] = _Memo(lambda name: secret.search(name) is not None)
        """Whether the value of an attribute is not stored, by its name."""
        self.redacted: Mapping[str, str] = _Memo(_redacted)
        """Texts without the secrets in them."""


class _Memo(dict[str, _Result]):
    """Results of a pure function of a text, kept for texts of up to 256 characters; all are forgotten once it is full.

    A mapping, so that a result that is kept costs no call: most attributes repeat.
    """

    def __init__(self, function: Callable[[str], _Result]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> _Result:
        result = self._function(text)
        if len(text) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[text] = result
        return result


def _redacted(text: str) -> str:
    if len(text) < _SHORTEST:
        return text
    return _CARD.sub(_without_card, _SECRETS.sub(_without_secret, text))


def _without_secret(match: re.Match[str]) -> str:
    return (match["scheme"] or match["pair"] or match["user"] or "") + REDACTED


def _without_card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    if not 13 <= len(digits) <= 19:
        return match[0]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return REDACTED if (sum(doubled) + sum(digits[-1::-2])) % 10 == 0 else match[0]
