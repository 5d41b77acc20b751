"""The setting `state.url`: which URLs are accepted, and that a refusal never shows one."""

import pytest
from pydantic import ValidationError

from tfo_mcp.infrastructure.config import Settings, redacted
from tfo_mcp.infrastructure.config.sections import StateSettings


@pytest.mark.parametrize(
    "url",
    [
        "memory:",
        "redis://localhost",
        "redis://127.0.0.1:6379/0",
        "redis://[::1]:6379/15",
        "redis://:p%40ss@redis.example:6380/1",
        "rediss://tenant:word@redis.example/0?ssl_ca_certs=/etc/ca.pem",
        "redis+sentinel://one:26379,two:26379/main",
        "redis+sentinel://tenant:word@one,two:26379,three/main/2",
    ],
)
def test_a_usable_url_is_accepted(url: str) -> None:
    assert StateSettings(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "memory", "memory://", "redis:", "redis://", "redis:///0", "http://secret@host", "host:6379"),
        *("redis://secret@host:99999", "redis://host/secret", "redis://host/0/secret", "redis://one,two/0"),
        *("redis://host/0?password=secret", "redis://host?secret=1", "redis://user:12#secret@host"),
        *("redis://:sec/ret@host", "redis://:sec@ret@host", "redis+sentinel://one,two", "redis+sentinel:///main"),
        *(
            "redis+sentinel://one/main/x",
            "redis+sentinel://one/main/0?ssl_ca_certs=secret",
            "redis+sentinel://one,/main",
        ),
        "redis://host?ssl_ca_certs=/secret",
    ],
)
def test_an_unusable_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StateSettings(url=url)
    assert "secret" not in str(refused.value)
    assert "sec@ret" not in str(refused.value)


def test_credentials_are_not_shown_with_the_settings() -> None:
    settings = Settings(state=StateSettings(url="redis://tenant:word@redis.example:6379/0"))
    assert redacted(settings)["state"]["url"] == "redis://redis.example:6379/0"
    assert "word" not in repr(settings)
