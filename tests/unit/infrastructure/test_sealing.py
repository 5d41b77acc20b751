"""HmacSealer: a sealed text with any changed bit, or opened with another key, is refused."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from tfo_mcp.infrastructure.identity.sealer import HmacSealer

KEY = "a key of more than thirty-two characters"
PAYLOAD = b'{"answers":{"a":1}}'


@pytest.mark.parametrize("payload", [PAYLOAD, b"", b"\x00\xff", b"x" * 100_000])
def test_what_was_sealed_is_unsealed(payload: bytes) -> None:
    sealer = HmacSealer(KEY)
    sealed = sealer.seal(payload)
    assert sealed.isascii()
    assert sealer.unseal(sealed) == payload


def test_no_bit_of_it_may_be_flipped() -> None:
    sealer = HmacSealer(KEY)
    raw = urlsafe_b64decode(sealer.seal(PAYLOAD))
    for position in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        assert sealer.unseal(urlsafe_b64encode(bytes(flipped)).decode()) is None, position


def test_no_character_of_it_may_be_another() -> None:
    sealer = HmacSealer(KEY)
    for payload in (b"", b"a", b"ab", PAYLOAD):  # all lengths of padding
        sealed = sealer.seal(payload)
        for position in range(len(sealed)):
            for other in "AB-_=+/ \n":
                changed = sealed[:position] + other + sealed[position + 1 :]
                if changed != sealed:
                    assert sealer.unseal(changed) is None, changed


@pytest.mark.parametrize("sealed", ["", "=", "AAAA", "A" * 43, "é" * 44, "\ud800", "\0", "not base64!"])
def test_what_was_never_sealed_is_not_unsealed(sealed: str) -> None:
    assert HmacSealer(KEY).unseal(sealed) is None


def test_nothing_may_be_cut_off_or_added() -> None:
    sealer = HmacSealer(KEY)
    sealed = sealer.seal(PAYLOAD)
    for changed in (
        sealed[:-4],
        sealed[4:],
        sealed + "AAAA",
        " " + sealed,
        sealed + "\n",
        sealed.rstrip("="),
        sealed * 2,
    ):
        assert sealer.unseal(changed) is None or changed == sealed


def test_another_key_does_not_open_it() -> None:
    assert HmacSealer(KEY + "!").unseal(HmacSealer(KEY).seal(PAYLOAD)) is None


def test_the_same_key_opens_it_in_another_process() -> None:
    assert HmacSealer(KEY).unseal(HmacSealer(KEY).seal(PAYLOAD)) == PAYLOAD
