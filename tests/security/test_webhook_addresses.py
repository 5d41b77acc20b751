"""Webhooks do not reach the operator's own network, however the address is written or resolved."""

from ipaddress import ip_address

import anyio
import httpx
import pytest

from tests.support.webhook_receiver import webhook_receiver
from tfo_mcp.infrastructure.webhooks.addresses import AddressRefused, PublicTransport, is_public

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "fec0::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378::1"),
        *("::ffff:0:7f00:1", "64:ff9b:1::a00:1"),
    ],
)
def test_addresses_that_are_not_on_the_public_internet_are_known(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_allowed(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0"])
async def test_other_forms_of_loopback_are_refused(host: str) -> None:
    with webhook_receiver() as receiver:
        async with httpx.AsyncClient(transport=PublicTransport([]), trust_env=False) as client:
            with pytest.raises((AddressRefused, httpx.ConnectError)):
                await client.post(f"http://{host}:{receiver.port}/")
        assert receiver.requests == []


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is resolved a second time, as in DNS rebinding, would lead elsewhere."""
    asked: list[str] = []
    resolve = anyio.getaddrinfo

    async def rebinding(host: str, port: int, **options: int) -> object:
        asked.append(host)
        return await resolve("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port, **options)

    with webhook_receiver() as receiver:
        monkeypatch.setattr(anyio, "getaddrinfo", rebinding)
        async with httpx.AsyncClient(transport=PublicTransport(["127.0.0.1"]), trust_env=False) as client:
            answer = await client.post(f"http://rebinding.example:{receiver.port}/", content=b"body")
        assert answer.status_code == 204
        ((headers, body),) = receiver.requests
    assert asked[:1] == ["rebinding.example"]
    assert (headers["host"], body) == (f"rebinding.example:{receiver.port}", b"body")
