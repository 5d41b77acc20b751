"""The five revisions: the features of each, and an error code for every kind of fault in each."""

import pytest
from mcp_types.methods import CLIENT_REQUESTS, INPUT_REQUIRED_METHODS

from tests.support.envelopes import HANDSHAKE_REVISIONS, STATELESS
from tfo_mcp.domain.errors import Kind
from tfo_mcp.presentation.protocol.revisions import (
    LATEST_HANDSHAKE,
    LATEST_STATELESS,
    REVISIONS,
    STATELESS_VERSIONS,
    Feature,
    Revision,
    handshake_revision,
    stateless_revision,
)

OWN_METHODS = {"shutdown"}
SKILL_METHODS = {"skills/list", "skills/get", "resources/directory/read"}  # of SEP-2640
ALL = list(REVISIONS.values())
HANDSHAKE = [revision for revision in ALL if revision.handshake]


def named(revision: Revision) -> str:
    """Return the name of a revision in test ids."""
    return revision.version


def test_the_five_released_revisions_are_spoken_oldest_first() -> None:
    assert tuple(REVISIONS) == (*HANDSHAKE_REVISIONS, STATELESS)
    assert (LATEST_HANDSHAKE.version, LATEST_STATELESS.version) == (HANDSHAKE_REVISIONS[-1], STATELESS)
    assert STATELESS_VERSIONS == (STATELESS,)


@pytest.mark.parametrize("revision", ALL, ids=named)
def test_the_methods_are_those_of_the_official_types_and_our_own(revision: Revision) -> None:
    official = {method for method, version in CLIENT_REQUESTS if version == revision.version}
    skills = SKILL_METHODS if revision.has(Feature.METADATA) else set()
    assert revision.methods == official | skills | (OWN_METHODS if revision.handshake else set())


@pytest.mark.parametrize("revision", ALL, ids=named)
def test_every_kind_of_fault_has_a_code(revision: Revision) -> None:
    assert set(revision.error_codes) == set(Kind)


@pytest.mark.parametrize(
    ("kind", "handshake", "stateless"),
    [
        (Kind.PARSE_ERROR, -32700, -32700),
        (Kind.INVALID_REQUEST, -32600, -32600),
        (Kind.METHOD_NOT_FOUND, -32601, -32601),
        (Kind.INVALID_PARAMS, -32602, -32602),
        (Kind.INTERNAL, -32603, -32603),
        (Kind.TOOL_NOT_FOUND, -32001, -32602),
        (Kind.RESOURCE_NOT_FOUND, -32002, -32602),
        (Kind.PROMPT_NOT_FOUND, -32003, -32602),
        (Kind.HEADER_MISMATCH, -32600, -32020),
        (Kind.MISSING_CAPABILITY, -32600, -32021),
        (Kind.UNSUPPORTED_VERSION, -32600, -32022),
    ],
)
def test_the_codes_are_those_of_the_specification_and_the_product(kind: Kind, handshake: int, stateless: int) -> None:
    assert {revision.error_codes[kind] for revision in HANDSHAKE} == {handshake}
    assert LATEST_STATELESS.error_codes[kind] == stateless


@pytest.mark.parametrize("revision", ALL, ids=named)
def test_results_are_200_and_codes_of_the_product_stay_out_of_the_reserved_range(revision: Revision) -> None:
    assert revision.http_status(None) == 200
    for kind in (Kind.TIMEOUT, Kind.UNAUTHENTICATED, Kind.SHUTTING_DOWN):
        assert not -32768 <= revision.error_codes[kind] <= -32000


@pytest.mark.parametrize(
    ("kind", "handshake", "stateless"),
    [
        (Kind.PARSE_ERROR, 400, 400),
        (Kind.INVALID_REQUEST, 400, 400),
        (Kind.HEADER_MISMATCH, 400, 400),
        (Kind.UNSUPPORTED_VERSION, 400, 400),
        (Kind.INVALID_META, 200, 400),
        (Kind.MISSING_CAPABILITY, 200, 400),
        (Kind.METHOD_NOT_FOUND, 200, 404),
        (Kind.SESSION_NOT_FOUND, 404, 404),
        (Kind.UNAUTHENTICATED, 401, 401),
        (Kind.TOO_LARGE, 413, 413),
        (Kind.TOOL_NOT_FOUND, 200, 200),
        (Kind.INVALID_PARAMS, 200, 200),
        (Kind.INTERNAL, 200, 200),
    ],
)
def test_faults_have_their_http_status(kind: Kind, handshake: int, stateless: int) -> None:
    assert {revision.http_status(kind) for revision in HANDSHAKE} == {handshake}
    assert LATEST_STATELESS.http_status(kind) == stateless


@pytest.mark.parametrize(
    ("feature", "first"),
    [
        (Feature.AUDIO, 1),
        (Feature.TOOL_HINTS, 1),
        (Feature.PROGRESS_MESSAGE, 1),
        (Feature.COMPLETIONS_CAPABILITY, 1),
        (Feature.TITLES, 2),
        (Feature.STRUCTURED_OUTPUT, 2),
        (Feature.RESOURCE_LINKS, 2),
        (Feature.ICONS, 3),
        (Feature.ELICITATION_MODES, 3),
        (Feature.ANY_STRUCTURE, 4),
    ],
)
def test_a_feature_comes_with_its_revision_and_stays(feature: Feature, first: int) -> None:
    assert [revision.has(feature) for revision in ALL] == [number >= first for number in range(len(ALL))]


def test_batches_are_of_one_revision_only() -> None:
    assert [revision.batches for revision in ALL] == [False, True, False, False, False]


def test_streams_resume_between_the_second_and_the_last_handshake_revision() -> None:
    assert [revision.resumable for revision in ALL] == [False, True, True, True, False]
    assert [revision.priming for revision in ALL] == [False, False, False, True, False]


def test_only_calls_without_a_handshake_end_with_questions() -> None:
    assert LATEST_STATELESS.input_methods == INPUT_REQUIRED_METHODS
    assert not any(revision.input_methods for revision in HANDSHAKE)


@pytest.mark.parametrize("version", [None, 5, "", "2000-01-01", ["2025-11-25"], {}, True])
def test_what_is_no_version_is_no_revision(version: object) -> None:
    assert handshake_revision(version) is None
    assert stateless_revision(version) is None


@pytest.mark.parametrize("revision", ALL, ids=named)
def test_a_version_belongs_to_one_era(revision: Revision) -> None:
    assert handshake_revision(revision.version) is (revision if revision.handshake else None)
    assert stateless_revision(revision.version) is (None if revision.handshake else revision)
