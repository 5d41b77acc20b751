"""An authorization server: its public keys as JWKS over HTTP, and the valid and invalid tokens that it signs."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.deadlines import PATIENCE

ISSUER = "https://issuer.example"
AUDIENCE = "https://mcp.example/mcp"


@dataclass
class AuthorizationServer:
    """The signing keys and the state of their endpoint.

    `fetched` counts requests for the keys and `answered` complete responses. A response waits until `answering` is set.
    `document` replaces the keys in responses, and `redirect` the response by a redirect to this URL.
    """

    rsa_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ec_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    fetched: int = 0
    answered: int = 0
    document: bytes | None = None
    answering: threading.Event = field(default_factory=threading.Event)
    redirect: str | None = None
    url: str = ""

    def jwks(self) -> bytes:
        """Return the public keys as a JWK set."""
        plain = {
            "rsa": RSAAlgorithm.to_jwk(self.rsa_key.public_key(), as_dict=True),
            "ec": ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True),
        }
        keys = [{**key, "kid": name, "use": "sig"} for name, key in plain.items()]
        return json.dumps({"keys": keys}).encode()

    def public_pem(self) -> bytes:
        """Return the RSA public key in PEM format."""
        return self.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a valid token with changes; None removes a claim."""
        now = int(time())
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, "scope": "tools:read"}
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def token(self, headers: Mapping[str, Any] | None = None, algorithm: str = "RS256", **changed: Any) -> str:
        """Return a signed token with these headers, and with changed claims as for `claims`."""
        key: Any = self.ec_key if algorithm.startswith("ES") else self.rsa_key
        kid = "ec" if algorithm.startswith("ES") else "rsa"
        return jwt.encode(self.claims(**changed), key, algorithm, {"kid": kid, **(headers or {})})


@contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    """Serve the keys on loopback until the context is left."""
    issuer = AuthorizationServer()
    issuer.answering.set()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetched += 1
            issuer.answering.wait(PATIENCE)
            body = issuer.jwks() if issuer.document is None else issuer.document
            if issuer.redirect is not None and self.path == "/jwks":
                self.send_response(302)
                self.send_header("Location", issuer.redirect)
                body = b""
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            issuer.answered += 1

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/jwks"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield issuer
        server.shutdown()
        thread.join()
