"""Definitions of the built-in tools, as they are listed: every model pays for them in each conversation."""

import json

import pytest

from tests.support.builtins import DEFINITIONS
from tests.support.tokenizer import real_tokens
from tfo_mcp.domain.tool import Tool
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.revisions import REVISIONS, Revision

MOST_TOKENS = 2500


@pytest.mark.parametrize("revision", REVISIONS.values(), ids=lambda revision: revision.version)
def test_the_definitions_of_all_tools_fit_their_budget(revision: Revision) -> None:
    tools = [rendering.tool(one, revision) for one in DEFINITIONS.values() if isinstance(one, Tool)]
    assert len(tools) >= 12
    assert real_tokens(json.dumps(tools, ensure_ascii=False, separators=(",", ":"))) <= MOST_TOKENS
