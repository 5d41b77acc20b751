"""Connects to the provider of the model: the Anthropic API, or a gateway with its API, Amazon Bedrock, or Vertex AI.

The SDK takes most of a second to import, so that happens on the first connection. Credentials of Bedrock and Vertex are
those of the environment, as their own tools read them.
"""

from dataclasses import field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, cast

from tfo_mcp.domain.errors import NotConfigured
from tfo_mcp.infrastructure.claude.environment import check_proxies, unusable
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_CONNECT_SECONDS = 5.0
ProviderKind = Literal["anthropic", "bedrock", "vertex"]

_CREDENTIAL_MODULES = ("botocore", "boto3", "google.auth")
_EXTRAS = {"bedrock": "botocore", "vertex": "google.auth"}


@value_object
class Provider:
    """Where the model is, and how to reach it; None is the SDK's default.

    `api_key` is that of the Anthropic API or the gateway. `region` and `project` are those of Bedrock and Vertex.
    """

    kind: ProviderKind = "anthropic"
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    region: str | None = None
    project: str | None = None

    @property
    def key(self) -> str:
        """The API key without white space around it."""
        return (self.api_key or "").strip()

    @property
    def is_configured(self) -> bool:
        """Whether there is what a connection needs."""
        return self.kind != "anthropic" or bool(self.key)

    def credentials_problem(self, error: Exception) -> NotConfigured | None:
        """Return the error for an exception of the packages that find the credentials, None for another one."""
        own = (RuntimeError,) if self.kind == "bedrock" else ()  # how the SDK says that there are none
        module = type(error).__module__
        if self.kind == "anthropic" or not (isinstance(error, own) or module.startswith(_CREDENTIAL_MODULES)):
            return None
        return NotConfigured(
            f"The credentials for claude.provider {self.kind} are missing in the environment, or cannot be used: set "
            "them as the tools of the provider want them, and restart the server"
        )

    def require_usable(self) -> None:
        """Check what can be checked without a connection.

        Raises:
            NotConfigured: there is no usable API key.
        """
        if not self.is_configured:
            raise NotConfigured(
                "No API key is configured for Claude: set the environment variable ANTHROPIC_API_KEY or the setting "
                "claude.api_key, and restart the server. A client that offers sampling needs none"
            )
        if self.key and not (self.key.isascii() and self.key.isprintable()):
            raise NotConfigured("The API key contains invalid characters: check ANTHROPIC_API_KEY or claude.api_key")


def connect(provider: Provider, timeout_seconds: float, max_retries: int, watch: Any) -> "AsyncAnthropic":
    """Return a client of the SDK; it connects with its first request.

    Args:
        watch: middleware of the SDK.

    Raises:
        NotConfigured: a package is missing, or the environment cannot be used.
    """
    try:
        from anthropic import DefaultAsyncHttpxClient, Timeout
    except ImportError:
        raise NotConfigured("The Anthropic SDK is missing: install the Python package anthropic") from None
    extra = _EXTRAS.get(provider.kind)
    if extra is not None and not _is_installed(extra):
        raise NotConfigured(
            f"claude.provider {provider.kind} needs the package's extra: pip install 'tfo-mcp[{provider.kind}]'"
        )
    check_proxies()
    try:
        http_client = DefaultAsyncHttpxClient()
    except Exception as problem:
        raise unusable(problem) from None
    options: dict[str, Any] = {
        "base_url": provider.base_url,
        "timeout": Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        "max_retries": max_retries,
        "http_client": http_client,
        "middleware": [watch],
        "open_telemetry": False,  # the requests have spans already
    }
    try:
        return _client(provider, options)
    except NotConfigured:
        raise
    except Exception as problem:  # e.g. of a profile in the environment that does not exist
        raise provider.credentials_problem(problem) or problem from None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


def _client(provider: Provider, options: dict[str, Any]) -> "AsyncAnthropic":
    import anthropic

    try:
        if provider.kind == "bedrock":
            bedrock = anthropic.AsyncAnthropicBedrock(aws_region=provider.region, **options)
            return cast("AsyncAnthropic", bedrock)  # the same resources
        if provider.kind == "vertex":
            given = {"region": provider.region, "project_id": provider.project}
            options |= {name: value for name, value in given.items() if value is not None}
            vertex = anthropic.AsyncAnthropicVertex(**options)
            if not vertex.project_id:  # the SDK builds the path of the first request before it looks at the credentials
                raise ValueError
            return cast("AsyncAnthropic", vertex)
    except ValueError:
        needed = "setting claude.region" if provider.kind == "bedrock" else "settings claude.region and claude.project"
        raise NotConfigured(f"claude.provider {provider.kind} needs the {needed}") from None
    return anthropic.AsyncAnthropic(api_key=provider.key, **options)
