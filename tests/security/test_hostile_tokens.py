"""Hostile tokens: properly signed tokens with bad contents, and malformed tokens, get 401 on every transport.

Hostile key documents and clients that invent key ids have no effect on valid tokens.
"""

import base64
import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, time
from typing import Any

import anyio
import httpx
import pytest
from jwt.algorithms import RSAAlgorithm
from websockets.exceptions import InvalidStatus

from tests.support.authorization_server import AUDIENCE, ISSUER, AuthorizationServer, authorization_server
from tests.support.deadlines import PATIENCE, eventually
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded, subprotocol
from tests.support.websocket_conversation import websocket
from tfo_mcp.domain.errors import Unauthenticated
from tfo_mcp.infrastructure.identity.jwt_verifier import JwtVerifier

INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
HEADER = {"alg": "RS256", "typ": "JWT", "kid": "rsa"}
ODD: Sequence[str] = (
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "1" + "0" * 400,
    "1" * 5000,
    '""',
    '" "',
    '"\\u0000"',
    '"a\\u0085b"',
    '"\\ud800"',
    '"a\\nb"',
    '"' + "x" * 300 + '"',
    "[]",
    "[null]",
    "[1]",
    '[["tools:read"]]',
    "{}",
    '{"a": 1}',
    "[" * 5000 + "]" * 5000,
    '{"a":' * 1500 + "1" + "}" * 1500,
)
GOOD_AS: dict[str, set[str]] = {
    "scope": {'""', '" "', '"\\u0000"', '"a\\u0085b"', '"\\ud800"', '"a\\nb"', '"' + "x" * 300 + '"', "[]"},
    "iat": {"0", "1.5"},
    "nbf": {"0", "1.5"},
}
"""Odd values of claims."""
GOOD_AS["scp"] = GOOD_AS["scope"]


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture(scope="module")
def gate(issuer: AuthorizationServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
    with guarded(tmp_path_factory.mktemp("gate"), security={"oauth": oauth}) as running:
        yield running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(issuer: AuthorizationServer, claims: str | bytes, header: str | None = None) -> str:
    """Return a signed token with any text as its claims."""
    payload = claims if isinstance(claims, bytes) else claims.encode()
    message = f"{part((header or json.dumps(HEADER)).encode())}.{part(payload)}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(message.encode(), issuer.rsa_key)
    return f"{message}.{part(signature)}"


def with_claim(issuer: AuthorizationServer, name: str, value: str) -> str:
    """Return a signed token with valid claims except one, whose value is given as JSON."""
    others = {
        key: claim for key, claim in issuer.claims().items() if key not in (name, "scope" if name == "scp" else "")
    }
    return signed(issuer, json.dumps(others)[:-1] + f', "{name}": {value}}}')


def hostile_tokens(issuer: AuthorizationServer) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each token that must be refused."""
    for name in ("sub", "iss", "aud", "exp", "nbf", "iat", "scope", "scp"):
        for value in ODD:
            if value not in GOOD_AS.get(name, ()):
                yield f"{name}={value[:20]}", with_claim(issuer, name, value)
    good = json.dumps(issuer.claims())
    for value in ODD:
        yield f"claims={value[:20]}", signed(issuer, value)
        for name in ("kid", "alg", "crit", "b64"):
            if (name, value) != ("kid", '""'):
                plain = {key: entry for key, entry in HEADER.items() if key != name}
                header = json.dumps(plain)[:-1] + f', "{name}": {value}}}'
                yield f"{name}={value[:20]}", signed(issuer, good, header)
    yield "sub twice", signed(issuer, good[:-1] + ', "sub": "eve"}')
    yield "alg twice", signed(issuer, good, json.dumps(HEADER)[:-1] + ', "alg": "RS256"}')
    for data in (b"\xff\xfe", good.encode("utf-16"), b"\xef\xbb\xbf" + good.encode(), b"", good.encode() + b"{}"):
        yield f"claims in {data[:3]!r}", signed(issuer, data)
    for scope in ('[1, "admin"]', '["admin", null]', '{"admin": true}'):
        yield f"scope={scope}", with_claim(issuer, "scope", scope)
    yield "exp far too late", with_claim(issuer, "exp", "1e300")


def random_texts(issuer: AuthorizationServer) -> Iterator[str]:
    """Yield mutations of a valid token and random text, printable so that HTTP headers can carry them."""
    choose = random.Random(13)
    good = issuer.token()
    alphabet = 'abcXYZ019-_.=+/~!"{}[]:,;%'
    for _ in range(150):
        at = choose.randrange(len(good) - 300)  # the header or the claims
        other = choose.choice([letter for letter in alphabet if letter != good[at]])
        yield good[:at] + other + good[at + 1 :]
        yield good[:at] + good[at + 1 :]
        yield "".join(choose.choices(alphabet, k=choose.randrange(1, 200)))


def test_every_hostile_token_is_a_401_over_http(gate: Guarded, issuer: AuthorizationServer) -> None:
    """R107."""
    with gate.client() as client:
        for name, token in hostile_tokens(issuer):
            for path in ("/mcp", "/sse"):
                answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
                assert (answer.status_code, name) == (401, name)
            assert 'error="invalid_token"' in answer.headers["www-authenticate"], name
        for text in random_texts(issuer):
            assert client.get("/mcp", headers={"X-API-Key": text}).status_code == 401, text
        assert client.get("/mcp", headers={"X-API-Key": issuer.token()}).status_code == 400
    assert "internal error" not in gate.server.child.stderr()
    assert "Traceback" not in gate.server.child.stderr()


def test_no_hostile_token_opens_a_websocket(gate: Guarded, issuer: AuthorizationServer) -> None:
    """R107."""
    kinds = ("scope=", "exp=", "sub=")
    chosen = [token for name, token in hostile_tokens(issuer) if name.startswith(kinds) and len(token) < 4096]
    for number, token in enumerate(chosen):
        shown: dict[str, Any] = {"additional_headers": {"Authorization": f"Bearer {token}"}}
        if number % 2:
            shown = {"subprotocols": ["mcp", subprotocol(token)]}
        with pytest.raises(InvalidStatus) as refused, websocket(gate.server, **shown):
            pass
        assert refused.value.response.status_code == 401


def test_odd_values_that_claims_may_have_are_taken(gate: Guarded, issuer: AuthorizationServer) -> None:
    with gate.client() as client:
        for name, values in GOOD_AS.items():
            for value in values:
                token = with_claim(issuer, name, value)
                answer = client.get("/mcp", headers={"Authorization": f"Bearer {token}"})
                assert (answer.status_code, name, value) == (400, name, value)  # let in; GET needs an event stream


def test_the_leeway_for_clocks_that_differ_is_ten_seconds(gate: Guarded, issuer: AuthorizationServer) -> None:
    now = int(time())
    cases = {(now - 5, now): 400, (now - 30, now): 401, (now + 600, now + 5): 400, (now + 600, now + 60): 401}
    with gate.client() as client:
        for (expires, begins), status in cases.items():
            token = issuer.token(exp=expires, nbf=begins)
            assert client.get("/mcp", headers={"X-API-Key": token}).status_code == status


@pytest.mark.anyio
async def test_bad_keys_in_a_document_are_skipped_and_a_bad_document_changes_nothing() -> None:
    now = [1000.0]
    with authorization_server() as issuer:
        plain = json.loads(issuer.jwks())["keys"]
        rsa = next(key for key in plain if key["kid"] == "rsa")
        bad: list[Any] = [
            None,
            1,
            [],
            {},
            {"kid": 1, **rsa},
            {**rsa, "kid": "n", "n": "!"},
            {**rsa, "kid": "a", "alg": ["RS256"]},
        ]
        bad += [{**rsa, "kid": "none", "alg": "none"}, {"kty": "EC", "kid": "c", "crv": "P-0"}, {"kty": {}, "kid": "k"}]
        issuer.document = json.dumps({"keys": [*bad, rsa]}).encode()
        verifier = JwtVerifier(ISSUER, AUDIENCE, issuer.url, ["RS256"], lambda: now[0])
        far = int(time()) + 10**6
        assert (await verifier.verify(issuer.token(exp=far))).name == "token:ada"
        for document in (b"[" * 100_000, b'{"keys": {}}', b"[]", b"1" * 5000, b"\xff", b'{"keys": [{}]}', b"null"):
            issuer.document, fetched = document, issuer.fetched
            now[0] += 301
            with pytest.raises(Unauthenticated, match="a key that its issuer does not have"):
                await verifier.verify(issuer.token({"kid": "unknown"}, exp=far))
            assert issuer.fetched == fetched + 1
            subject = f"after {document[:10]!r}"
            assert (await verifier.verify(issuer.token(exp=far, sub=subject))).name == f"token:{subject}"
        now[0] += 86_400
        with pytest.raises(Unauthenticated, match="cannot be fetched"):
            await verifier.verify(issuer.token(exp=far, sub="a day later"))
        await verifier.aclose()


@pytest.mark.anyio
async def test_a_client_that_makes_up_key_ids_and_leaves_delays_nobody_and_cancels_no_fetch() -> None:
    now = [1000.0]
    with authorization_server() as issuer:
        verifier = JwtVerifier(ISSUER, AUDIENCE, issuer.url, ["RS256"], lambda: now[0])
        far = int(time()) + 10**6
        await verifier.verify(issuer.token(exp=far))
        now[0] += 31
        issuer.answering.clear()  # the issuer delays its answers from now on
        stranger = issuer.token({"kid": "made up"}, exp=far)
        with anyio.move_on_after(0.2) as left:
            await verifier.verify(stranger)
        assert left.cancelled_caught
        with anyio.fail_after(PATIENCE):
            assert (await verifier.verify(issuer.token(exp=far, sub="bob"))).name == "token:bob"
        issuer.answering.set()
        await eventually(lambda: issuer.answered == 2, "the fetch went on without the client that caused it")
        with pytest.raises(Unauthenticated, match="a key that its issuer does not have"):
            await verifier.verify(stranger)
        await verifier.aclose()


def test_a_good_new_token_gets_in_while_its_address_floods_wrong_ones(tmp_path: Path) -> None:
    with authorization_server() as issuer:
        oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
        limits = {"wrong_credentials_per_minute": 5}
        with guarded(tmp_path, security={"oauth": oauth}, limits=limits) as gate, ThreadPoolExecutor(4) as threads:
            good = issuer.token()
            assert gate.stateless(good, "tools/list").status_code == 200
            header, claims, signature = issuer.token(sub="eve").split(".")
            ends = monotonic() + 4

            def flood(number: int) -> set[int]:
                statuses = set()
                with gate.client() as client:
                    count = 0
                    while monotonic() < ends:
                        count += 1
                        forged = f"{header}.{claims}.{part(f'{number}-{count}'.encode())}{signature[20:]}"
                        statuses.add(client.get("/mcp", headers={"X-API-Key": forged}).status_code)
                return statuses

            floods = [threads.submit(flood, number) for number in range(4)]
            with gate.client() as client:
                number = 0
                while monotonic() < ends:
                    number += 1
                    started = monotonic()
                    token = issuer.token(sub=f"user-{number}")
                    assert client.get("/mcp", headers={"X-API-Key": token}).status_code == 400
                    assert client.get("/mcp", headers={"X-API-Key": good}).status_code == 400
                    assert monotonic() - started < 2
            assert number > 1
            assert set[int]().union(*(each.result() for each in floods)) <= {401, 429}
            assert httpx.get(f"{gate.server.origin}/healthz", timeout=PATIENCE).status_code == 200
