"""OAuth: the server as a protected resource. Tokens are validated, and refusals name the metadata."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.authorization_server import AUDIENCE, ISSUER, AuthorizationServer, authorization_server
from tests.support.envelopes import request
from tests.support.guarded import Guarded, guarded, subprotocol
from tests.support.websocket_conversation import websocket
from tfo_mcp.bootstrap import ConfigurationError, load
from tfo_mcp.domain.errors import Unauthenticated
from tfo_mcp.infrastructure.identity.jwt_verifier import JwtVerifier

CALL = {"name": "echo", "arguments": {"message": "hi"}}


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture(scope="module")
def gate(issuer: AuthorizationServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
    with guarded(tmp_path_factory.mktemp("gate"), security={"oauth": oauth}) as running:
        yield running


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(issuer: AuthorizationServer, algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': 'rsa'})}.{part(issuer.claims())}."


def signed_with_the_public_key(issuer: AuthorizationServer) -> str:
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'})}.{part(issuer.claims())}"
    tag = hmac.digest(issuer.public_pem(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def with_a_key_of_its_own(issuer: AuthorizationServer) -> str:
    stranger = AuthorizationServer()
    own = json.loads(stranger.jwks())["keys"][0]
    return stranger.token({"jwk": own, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"})


def altered(issuer: AuthorizationServer) -> str:
    header, _, signature = issuer.token().split(".")
    return f"{header}.{part(issuer.claims(scope='admin'))}.{signature}"


SPOILED: dict[str, Callable[[AuthorizationServer], str]] = {
    "alg none": lambda issuer: unsigned(issuer, "none"),
    "alg None": lambda issuer: unsigned(issuer, "None"),
    "HS256 signed with the public key": signed_with_the_public_key,
    "an algorithm that is not configured": lambda issuer: issuer.token(algorithm="RS512"),
    "embedded jwk": with_a_key_of_its_own,
    "crit": lambda issuer: issuer.token({"crit": ["exp"]}),
    "altered claims": altered,
    "without a signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "an unknown kid": lambda issuer: issuer.token({"kid": "other"}),
    "the kid of another key": lambda issuer: issuer.token({"kid": "ec"}),
    "wrong aud": lambda issuer: issuer.token(aud="https://other.example"),
    "no aud": lambda issuer: issuer.token(aud=None),
    "wrong iss": lambda issuer: issuer.token(iss="https://other.example"),
    "expired": lambda issuer: issuer.token(exp=int(time()) - 60),
    "no exp": lambda issuer: issuer.token(exp=None),
    "exp that is no number": lambda issuer: issuer.token(exp="soon"),
    "no sub": lambda issuer: issuer.token(sub=None),
    "not yet": lambda issuer: issuer.token(nbf=int(time()) + 600),
    "no token at all": lambda issuer: "hello",
    "three dots": lambda issuer: "a.b.c",
    "far too long": lambda issuer: issuer.token(junk="x" * 14_000),
}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token_is_taken_in_each_place(gate: Guarded, issuer: AuthorizationServer, algorithm: str) -> None:
    token = issuer.token(algorithm=algorithm)
    assert gate.stateless(token, "tools/call", CALL).json()["result"]["isError"] is False
    with gate.client(**{"X-API-Key": token}) as client:
        assert gate.session(client)
    with websocket(gate.server, subprotocols=["mcp", subprotocol(token)]) as connection:
        assert connection.subprotocol == "mcp"


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_token_is_not(gate: Guarded, issuer: AuthorizationServer, kind: str) -> None:
    """R107."""
    answer = gate.stateless(SPOILED[kind](issuer), "tools/call", CALL)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert issuer.claims()["sub"] not in answer.text


def test_the_challenge_leads_to_the_metadata(gate: Guarded, issuer: AuthorizationServer) -> None:
    """R106."""
    with gate.client() as client:
        challenge = client.post("/mcp", json=request(1, "ping")).headers["www-authenticate"]
        metadata = f"{gate.server.origin}/.well-known/oauth-protected-resource/mcp"
        assert challenge == (
            f'Bearer realm="tfo-mcp", scope="tools:read resources:read prompts:read", resource_metadata="{metadata}"'
        )
        for url in (metadata, f"{gate.server.origin}/.well-known/oauth-protected-resource"):
            told = client.get(url).json()
            assert (told["resource"], told["authorization_servers"]) == (AUDIENCE, [ISSUER])
            assert {"tools:read", "admin"} <= set(told["scopes_supported"])
            assert told["bearer_methods_supported"] == ["header"]


def test_a_token_that_lacks_a_scope_is_told_which(gate: Guarded, issuer: AuthorizationServer) -> None:
    """R106, R107."""
    call = {"name": "write_file", "arguments": {"path": "x", "content": "y"}}
    refused = gate.stateless(issuer.token(), "tools/call", call)
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="tools:write", resource_metadata=' in refused.headers["www-authenticate"]
    wider = issuer.token(scope="openid tools:read tools:write unknown:scope")
    assert gate.stateless(wider, "tools/call", call).json()["result"]["isError"] is False
    assert gate.stateless(issuer.token(scope=None, scp=["tools:write"]), "tools/call", call).status_code == 200


def test_a_challenge_names_all_scopes_that_a_plugin_asks_for(gate: Guarded, issuer: AuthorizationServer) -> None:
    """R106, R107."""
    refused = gate.stateless(issuer.token(), "tools/call", {"name": "needs_scopes", "arguments": {}})
    assert (refused.status_code, refused.json()["error"]["data"]["kind"]) == (403, "missing_scope")
    asked = "tools:read orders:read orders:write"
    assert f'error="insufficient_scope", scope="{asked}"' in refused.headers["www-authenticate"]


def test_client_credentials_are_advertised(gate: Guarded, issuer: AuthorizationServer) -> None:
    discovered = gate.stateless(issuer.token(), "server/discover", {}).json()["result"]
    assert "io.modelcontextprotocol/oauth-client-credentials" in discovered["capabilities"]["extensions"]


def test_a_connection_ends_when_its_token_has_expired(gate: Guarded, issuer: AuthorizationServer) -> None:
    """R107."""
    token = issuer.token(exp=int(time()) - 7)  # within the leeway of ten seconds
    with websocket(gate.server, additional_headers={"Authorization": f"Bearer {token}"}) as connection:
        with pytest.raises(ConnectionClosed):
            connection.recv(10)
        assert connection.close_code == 3000
    assert gate.stateless(token, "tools/list").status_code == 401


def test_callers_of_tokens_are_apart_from_each_other_and_from_keys(gate: Guarded, issuer: AuthorizationServer) -> None:
    with (
        gate.client(issuer.token()) as ada,
        gate.client(issuer.token(sub="bob")) as bob,
        gate.client(gate.key()) as key,
    ):
        session = {"Mcp-Session-Id": gate.session(ada)}
        assert ada.post("/mcp", json=request(2, "ping"), headers=session).status_code == 200
        for other in (bob, key):
            assert other.post("/mcp", json=request(2, "ping"), headers=session).status_code == 404
    with gate.client(issuer.token()) as again:
        assert again.post("/mcp", json=request(2, "ping"), headers=session).status_code == 200


def test_expired_tokens_are_no_guesses(tmp_path: Path, issuer: AuthorizationServer) -> None:
    oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
    with guarded(tmp_path, security={"oauth": oauth}, limits={"wrong_credentials_per_minute": 2}) as gate:
        now = int(time())
        expired = [issuer.token(exp=now - 60 - number) for number in range(6)]
        early = [issuer.token(nbf=now + 60 + number) for number in range(6)]
        forged = [f"{token.rpartition('.')[0]}.{'A' * 342}" for token in expired[:3]]
        answers = [gate.stateless(token, "tools/list").status_code for token in expired + early + forged]
        assert answers == [401] * 12 + [401, 401, 429]
        assert gate.stateless(issuer.token(), "tools/list").status_code == 200


def test_without_an_authorization_server_tokens_are_no_keys(tmp_path: Path, issuer: AuthorizationServer) -> None:
    with guarded(tmp_path) as gate:
        answer = gate.stateless(issuer.token(), "tools/list")
        assert (answer.status_code, "Not an API key" in answer.text) == (401, True)
        with gate.client() as client:
            assert client.get("/.well-known/oauth-protected-resource").status_code == 404


class TestKeys:
    def test_all_who_wait_share_one_fetch(self, tmp_path: Path) -> None:
        with authorization_server() as issuer:
            oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
            with guarded(tmp_path, security={"oauth": oauth}) as gate, ThreadPoolExecutor(16) as threads:
                tokens = [issuer.token(sub=f"user-{number}") for number in range(64)]
                answers = list(threads.map(lambda token: gate.stateless(token, "tools/list").status_code, tokens))
                strangers = [issuer.token({"kid": f"other-{number}"}) for number in range(64)]
                refused = list(threads.map(lambda token: gate.stateless(token, "tools/list").status_code, strangers))
            assert (set(answers), set(refused), issuer.fetched) == ({200}, {401}, 1)

    @pytest.mark.anyio
    async def test_new_keys_are_fetched_when_a_token_names_one_but_not_too_often(self) -> None:
        now = [1000.0]
        with authorization_server() as issuer:
            verifier = JwtVerifier(ISSUER, AUDIENCE, issuer.url, ["RS256"], lambda: now[0])
            far = int(time()) + 10**6
            await verifier.verify(issuer.token(exp=far))
            issuer.rsa_key = AuthorizationServer().rsa_key
            for seconds, fetched in ((10.0, 1), (31.0, 2)):
                now[0] = 1000.0 + seconds
                with pytest.raises(Unauthenticated):
                    await verifier.verify(issuer.token({"kid": "new"}, exp=far))
                assert issuer.fetched == fetched
            await verifier.verify(issuer.token(exp=far))
            now[0] += 601
            await verifier.verify(issuer.token(exp=far, sub="bob"))
            assert issuer.fetched == 3
            await verifier.aclose()

    @pytest.mark.anyio
    async def test_redirects_are_not_followed_and_a_failure_is_not_the_tokens(self) -> None:
        with authorization_server() as issuer:
            issuer.redirect = f"{issuer.url}/elsewhere"
            verifier = JwtVerifier(ISSUER, AUDIENCE, issuer.url, ["RS256"])
            with pytest.raises(Unauthenticated, match="cannot be fetched: try again later") as refused:
                await verifier.verify(issuer.token())
            assert (issuer.fetched, refused.value.is_wrong) == (1, False)
            await verifier.aclose()

    @pytest.mark.anyio
    async def test_a_server_that_does_not_answer_keeps_nobody_for_long(self) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        verifier = JwtVerifier(ISSUER, AUDIENCE, f"http://127.0.0.1:{port}/jwks", ["RS256"])
        with anyio.fail_after(12), pytest.raises(Unauthenticated, match="cannot be fetched"):
            await verifier.verify(AuthorizationServer().token())
        await verifier.aclose()
        await listener.aclose()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "oauth",
    [
        {"issuer": ISSUER, "audience": AUDIENCE},
        {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "ftp://x"},
        {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "https://x/", "algorithms": ["HS256"]},
        {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "https://x/", "algorithms": []},
        {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "https://x/", "secret": "y"},
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(oauth: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"security\.oauth"):
        load(None, {"security": {"oauth": oauth}}, {})
