"""Fuzzing: mutated and hostile messages for the codec and running servers, and Hypothesis strategies."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.fuzzing import fuzz
from tests.security.network_fuzzing import fuzz_network
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Batch, Malformed, Notification, Request, Response

INPUTS = 50_000
NETWORK_INPUTS = 200
SEED = 20_261_127
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "_meta"]) | st.text(max_size=5),
    st.sampled_from(["2.0", "ping", 1, {}, []]) | VALUES,
)
# another test thread may draw random numbers meanwhile, and Hypothesis would blame the strategy
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
often = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_spoiled_messages_are_borne() -> None:
    fuzz(INPUTS, SEED)


def test_hostile_inputs_on_the_network_hinder_no_other_client() -> None:
    fuzz_network(NETWORK_INPUTS, SEED)


@often
@given(st.binary())
def test_any_bytes_are_decoded_to_something(data: bytes) -> None:
    assert isinstance(jsonrpc.decode(data), Request | Notification | Response | Malformed | Batch)


@often
@given(VALUES | MEMBERS | st.lists(MEMBERS, max_size=3))
def test_any_json_is_decoded_to_something(value: Any) -> None:
    decoded = jsonrpc.decode(json.dumps(value).encode())
    if isinstance(value, list) and value:
        assert isinstance(decoded, Batch | Malformed)
    else:
        assert isinstance(decoded, Request | Notification | Response | Malformed)


@often
@given(st.text() | st.integers(-(2**53), 2**53), st.text(min_size=1), st.dictionaries(st.text(), VALUES))
def test_what_is_a_request_comes_through_as_it_was(identifier: Any, method: str, params: dict[str, Any]) -> None:
    message = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
    try:
        raw = json.dumps(message, allow_nan=False).encode()
    except ValueError:
        return  # JSON has no such number
    decoded = jsonrpc.decode(raw)
    if isinstance(decoded, Request):
        assert (decoded.id, decoded.method, decoded.params) == (identifier, method, params)
    else:
        assert isinstance(decoded, Malformed)
