"""The contract of Sealer."""

from collections.abc import Callable
from random import Random

import pytest

from tests.contracts.conftest import KEY
from tfo_mcp.application.ports import Sealer

NewSealer = Callable[[str], Sealer]


@pytest.mark.parametrize("payload", [b"", b"payload", bytes(range(256)), b"x" * 100_000])
def test_a_payload_survives_sealing_as_text_that_json_and_headers_can_carry(
    new_sealer: NewSealer, payload: bytes
) -> None:
    sealed = new_sealer(KEY).seal(payload)
    assert sealed.isascii()
    assert sealed.isprintable()
    assert new_sealer(KEY).unseal(sealed) == payload


def test_only_the_same_key_unseals(new_sealer: NewSealer) -> None:
    sealed = new_sealer(KEY).seal(b"payload")
    for key in (KEY[:-1], KEY.upper()):
        assert new_sealer(key).unseal(sealed) is None


def test_a_text_with_any_other_character_is_not_unsealed(new_sealer: NewSealer) -> None:
    sealer, random = new_sealer(KEY), Random(3)
    sealed = sealer.seal(b"payload of some length")
    for position in range(len(sealed)):
        other = chr((ord(sealed[position]) + random.randint(1, 127)) % 128)
        changed = sealed[:position] + other + sealed[position + 1 :]
        if changed != sealed:
            assert sealer.unseal(changed) is None, position


def test_what_was_never_sealed_is_none_and_no_error(new_sealer: NewSealer) -> None:
    sealer, random = new_sealer(KEY), Random(4)
    texts = ["", "é", "\ud800", *("".join(chr(random.randint(0, 0x2FF)) for _ in range(60)) for _ in range(500))]
    assert [sealer.unseal(text) for text in texts] == [None] * len(texts)
