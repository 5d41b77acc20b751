"""Validation: the schemas are those of the official types, and give the same verdicts."""

from typing import Any

import mcp_types
import pytest
from mcp_types.methods import CACHEABLE_METHODS, CLIENT_REQUESTS

from tests.security.schema_fuzzing import fuzz_schemas
from tests.support import protocol_schemas
from tfo_mcp.presentation.jsonrpc import Request
from tfo_mcp.presentation.protocol import metadata
from tfo_mcp.presentation.protocol.revisions import LATEST_HANDSHAKE, LATEST_STATELESS, REVISIONS
from tfo_mcp.presentation.protocol.validation import InvalidShape, check_request


def test_the_schemas_are_those_of_the_official_types() -> None:
    assert protocol_schemas.FILE.read_text() == protocol_schemas.text(protocol_schemas.generate()), "Run make schemas"


def test_all_revisions_of_an_era_have_the_same_official_types() -> None:
    for (method, version), model in CLIENT_REQUESTS.items():
        assert protocol_schemas.requests(REVISIONS[version].handshake)[method] is model


def test_changed_params_and_answers_get_the_verdict_of_the_official_types() -> None:
    fuzz_schemas(30_000, 20_261_129)


def test_the_keys_of_metadata_are_the_official_ones() -> None:
    assert metadata.PROTOCOL_VERSION == mcp_types.PROTOCOL_VERSION_META_KEY
    assert metadata.CLIENT_INFO == mcp_types.CLIENT_INFO_META_KEY
    assert metadata.CLIENT_CAPABILITIES == mcp_types.CLIENT_CAPABILITIES_META_KEY
    assert metadata.LOG_LEVEL == mcp_types.LOG_LEVEL_META_KEY
    assert metadata.SERVER_INFO == mcp_types.SERVER_INFO_META_KEY


def test_the_methods_with_cache_hints_are_the_official_ones() -> None:
    skills = {"skills/list", "skills/get", "resources/directory/read"}  # SEP-2640
    assert LATEST_STATELESS.cacheable_methods == CACHEABLE_METHODS | skills
    assert not LATEST_HANDSHAKE.cacheable_methods


@pytest.mark.parametrize(
    ("params", "place"),
    [({}, "name"), ({"name": 5}, "name"), ({"name": "x", "arguments": [1]}, "arguments")],
    ids=["missing", "of a wrong type", "of a wrong shape"],
)
def test_the_error_names_the_param(params: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidShape, match=place) as refused:
        check_request(Request(1, "tools/call", params), LATEST_HANDSHAKE)
    assert not refused.value.in_meta


def test_invalid_metadata_is_told_from_other_invalid_params() -> None:
    with pytest.raises(InvalidShape, match="_meta") as refused:
        check_request(Request(1, "tools/call", {"name": "x", "_meta": {"progressToken": []}}), LATEST_HANDSHAKE)
    assert refused.value.in_meta
