"""Local servers of Claude on Amazon Bedrock and on Vertex AI, for the clients of the SDK.

They have the paths, credentials, versions and streams of the platforms, and the messages of `messages_api`. Bedrock
checks the signature of each request (AWS Signature Version 4) or a bearer token, and frames its streams as AWS event
streams. Vertex AI gives access tokens for signed assertions of a service account (RFC 7523).
"""

import binascii
import hashlib
import hmac
import json
import re
import struct
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.messages_api import MessagesApi, Planned, RecordedRequest
from tests.support.messages_format import bearer_token

REGION = "eu-test-1"
PROJECT_ID = "test-project"
ACCESS_KEY = "key-of-the-tests"
_STRING = 7  # a type of headers of an event stream
_SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=(\S+?), ?SignedHeaders=(\S+?), ?Signature=([0-9a-f]{64})")
_VERSION_WITHOUT_SAMPLING = "2026-10-21"
_TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # of every assertion, wherever the token comes from


class BedrockApi(MessagesApi):
    """Bedrock, with `api_key` as the secret key of `ACCESS_KEY` and as a bearer token."""

    stream_type = "application/vnd.amazon.eventstream"
    malformed_event = (
        b"\x00\x00\x00\x20\x00\x00\x00\x00\xff\xff\xff\xff" + 20 * b"\x00"
    )  # the sum of its length is wrong

    def environment(self, place: Path) -> dict[str, str]:
        """Return the environment that has the credentials; `place` is an empty directory."""
        files = {"AWS_CONFIG_FILE": str(place / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(place / "credentials")}
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": self.api_key, "AWS_SESSION_TOKEN": "of this"}
        return {**files, **keys, "AWS_EC2_METADATA_DISABLED": "true"}

    def normalized(self, recorded: RecordedRequest) -> RecordedRequest:
        """Return the request with the model and the kind of the response of its path in the body."""
        found = re.fullmatch(r"/model/([^/]+)/invoke(-with-response-stream)?", recorded.path)
        if found is None:
            return recorded
        given = {"model": unquote(found[1]), "stream": found[2] is not None}
        return replace(recorded, body={**recorded.body, **given})

    def refusal(self, recorded: RecordedRequest) -> Planned | None:
        """Return what the service refuses: a wrong path, signature or version."""
        if "model" not in recorded.body:
            return Planned(404, {"message": "UnknownOperationException"})
        if bearer_token(recorded.headers) != self.api_key and not self._is_signed(recorded):
            return Planned(403, {"message": "The request signature does not match"})
        problem = version_problem(recorded.body, "bedrock-2023-05-31")
        return None if problem is None else Planned(400, {"message": problem})

    def framed(self, event: Mapping[str, Any]) -> bytes:
        """Return an event as a frame of an event stream; an error is an exception of the service."""
        if event["type"] == "error":
            body = json.dumps({"message": event["error"]["message"]}).encode()
            return frame({":message-type": "exception", ":exception-type": "throttlingException"}, body)
        body = json.dumps({"bytes": b64encode(json.dumps(event).encode()).decode()}).encode()
        return frame({":message-type": "event", ":event-type": "chunk"}, body)

    def _is_signed(self, recorded: RecordedRequest) -> bool:
        found = _SIGNATURE.fullmatch(recorded.headers.get("authorization", ""))
        if found is None:
            return False
        key_id, _, scope = found[1].partition("/")
        names = found[2].split(";")
        if key_id != ACCESS_KEY or not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
            return False
        day, region, service, _ = scope.split("/")
        headers = "".join(f"{name}:{' '.join(recorded.headers[name].split())}\n" for name in names)
        payload = hashlib.sha256(recorded.raw).hexdigest()
        request = "\n".join(("POST", quote(recorded.path), "", headers, found[2], payload))
        signed = (
            "AWS4-HMAC-SHA256",
            recorded.headers["x-amz-date"],
            scope,
            hashlib.sha256(request.encode()).hexdigest(),
        )
        key = f"AWS4{self.api_key}".encode()
        for part in (day, region, service, "aws4_request", "\n".join(signed)):
            key = hmac.digest(key, part.encode(), "sha256")
        return (region, service) == (REGION, "bedrock") and hmac.compare_digest(key.hex(), found[3])


class VertexApi(MessagesApi):
    """Vertex AI, with `api_key` as the access token of a service account."""

    def __init__(self, api_key: str) -> None:
        super().__init__(api_key)
        self.tokens_given = 0
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def environment(self, place: Path) -> dict[str, str]:
        """Return the environment that names the file of the service account, which is written into `place`."""
        account = {
            "type": "service_account",
            "project_id": PROJECT_ID,
            "private_key_id": "1",
            "private_key": self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": "tests@example.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        (place / "account.json").write_text(json.dumps(account))
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(place / "account.json")}

    def other(self, path: str, raw: bytes) -> Planned | None:
        """Return an access token for an assertion that the service account has signed."""
        if path != "/token":
            return None
        asked = parse_qs(raw.decode())
        try:
            jwt.decode(asked["assertion"][0], self._key.public_key(), ["RS256"], audience=_TOKEN_AUDIENCE)
        except jwt.InvalidTokenError:
            return Planned(400, {"error": "invalid_grant"})
        self.tokens_given += 1
        return Planned(200, {"access_token": self.api_key, "expires_in": 3600, "token_type": "Bearer"})

    def normalized(self, recorded: RecordedRequest) -> RecordedRequest:
        """Return the request with the model of its path in the body."""
        models = f"/projects/{PROJECT_ID}/locations/{REGION}/publishers/anthropic/models/"
        found = re.fullmatch(rf"{models}([^/:]+):(streamRawPredict|rawPredict)", recorded.path)
        if found is None or (found[2] == "streamRawPredict") != (recorded.body.get("stream") is True):
            return recorded
        return replace(recorded, body={**recorded.body, "model": unquote(found[1])})

    def refusal(self, recorded: RecordedRequest) -> Planned | None:
        """Return what the service refuses: a wrong path, token or version."""
        problem, status = version_problem(recorded.body, "vertex-2023-10-16"), 400
        if "model" not in recorded.body:
            problem, status = "Not found", 404
        elif bearer_token(recorded.headers) != self.api_key:
            problem, status = "Request had invalid authentication credentials", 401
        return None if problem is None else Planned(status, {"error": {"code": status, "message": problem}})


def version_problem(body: Mapping[str, Any], older: str) -> str | None:
    """Return what is wrong with the version in a body: a temperature needs the older one."""
    version = body.get("anthropic_version")
    if version not in (older, _VERSION_WITHOUT_SAMPLING):
        return f"anthropic_version: {version} is unknown"
    return "temperature: Extra inputs are not permitted" if "temperature" in body and version != older else None


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return a message of an AWS event stream with headers of the type string."""
    encoded = b"".join(
        struct.pack(f">B{len(name)}sBH", len(name), name.encode(), _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    message = lengths + struct.pack(">I", binascii.crc32(lengths)) + encoded + payload
    return message + struct.pack(">I", binascii.crc32(message))
