"""Redaction of secrets and card numbers in telemetry, before it is stored.

Owns the names of attributes whose values are never stored, and the forms of secrets in texts. Must not know OTLP.
"""

import re
from collections.abc import Iterable

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
        self._names = re.compile(rf"(?:{_NAMES})$" + (f"|{own}" if own else ""), re.IGNORECASE)
        self._secret_names: dict[str, bool] = {}
        self._known: dict[str, str] = {}

    def hides(self, name: str) -> bool:
        """Return whether the value of an attribute is not stored."""
        known = self._secret_names.get(name)
        if known is None:
            known = self._names.search(name) is not None
            if len(self._secret_names) < _MOST_KNOWN:
                self._secret_names[name] = known
        return known

    def text(self, text: str) -> str:
        """Return a text without the secrets in it."""
        if len(text) < _SHORTEST:
            return text
        known = self._known.get(text)
        if known is None:
            known = _CARD.sub(_without_card, _SECRETS.sub(_without_secret, text))
            if len(text) <= _LONGEST_KNOWN:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[text] = known
        return known


def _without_secret(match: re.Match[str]) -> str:
    return (match["scheme"] or match["pair"] or match["user"] or "") + REDACTED


def _without_card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    if not 13 <= len(digits) <= 19:
        return match[0]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return REDACTED if (sum(doubled) + sum(digits[-1::-2])) % 10 == 0 else match[0]
