"""No file of the project contains a secret of a known format."""

import re

import pytest

from tests.architecture.sources import name_of, project_files
from tfo_mcp.domain.keys import generate, id_of

FORMS = {
    "a key of this server": r"tfo_[0-9a-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "a key of Anthropic's": r"sk-ant-[a-z]+[0-9]{2}-[A-Za-z0-9_-]{40,}",
    "a key of AWS's": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub's": r"\bgh[pousr]_[0-9A-Za-z]{36}\b",
    "a token of Slack's": r"\bxox[abprs]-[0-9A-Za-z-]{10,}",
    "a key of Google's": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a JWT": r"\beyJ[0-9A-Za-z_-]{20,}\.eyJ[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{20,}",
}


@pytest.mark.parametrize("kind", FORMS)
def test_no_secret_is_in_the_tree(kind: str) -> None:
    files, form = project_files(), re.compile(FORMS[kind])
    assert len(files) > 100
    found = [
        f"{name_of(path)}: {match[0][:12]}…"
        for path in files
        for match in form.finditer(path.read_text(errors="replace"))
    ]
    assert found == []


def test_a_key_of_this_server_would_be_found() -> None:
    key_id, text = generate()
    assert re.fullmatch(FORMS["a key of this server"], text)
    assert id_of(text) == key_id
