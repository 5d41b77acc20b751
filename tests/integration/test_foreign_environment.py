"""Environment variables of OpenTelemetry that are meant for other programs: the server starts, serves, and warns.

Each variable that the server or the SDK reads gets values that neither can use, without and with an endpoint of our
own. Values of our own settings stay errors.
"""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.support.deadlines import wait_until
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.processes import Configuration, child
from tests.support.stdio_client import stdio_client

SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BLRP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
SETTINGS = [  # variables that settings of ours are read from, too
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "garbage"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///run/collector.sock"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://two words:4318"),
    ("OTEL_TRACES_SAMPLER_ARG", "endpoint=http://localhost:14250"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
    ("OTEL_TRACES_SAMPLER_ARG", "nan"),
]
OTHERS = [
    *((f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT", value) for signal in ("TRACES_", "METRICS_", "LOGS_")
      for value in ("localhost:4317", "http://[::1", "garbage")),
    *((f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL", "http/json") for signal in ("TRACES_", "METRICS_", "LOGS_")),
    *((f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT", "10s") for signal in ("", "TRACES_", "METRICS_", "LOGS_")),
    *((f"OTEL_EXPORTER_OTLP_{signal}COMPRESSION", "zstd") for signal in ("", "TRACES_", "METRICS_", "LOGS_")),
    *((f"OTEL_EXPORTER_OTLP_{signal}HEADERS", "no pairs") for signal in ("", "TRACES_", "METRICS_", "LOGS_")),
    *((f"OTEL_EXPORTER_OTLP_{file}", "/nonexistent.pem") for file in ("CERTIFICATE", "CLIENT_KEY")),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/nonexistent.pem"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "name with space=1"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "x=sch\u00f6n"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret;secure"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", 'api-key="secret-in-quotes"'),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=1,api-key=back\\slash"),
    ("OTEL_EXPORTER_OTLP_INSECURE", "perhaps"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1e999"),
    ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
    ("OTEL_TRACES_EXPORTER", "jaeger"),
    ("OTEL_METRICS_EXPORTER", "prometheus"),
    ("OTEL_LOGS_EXPORTER", "console"),
    ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "soon"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "0"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "999999"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "long"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "0x10"),
    ("OTEL_PYTHON_CONTEXT", "absent_context"),
    ("OTEL_PYTHON_METER_PROVIDER", "absent_meter_provider"),
    ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "absent_detector"),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1e3"),
    ("OTEL_RESOURCE_ATTRIBUTES", "no pairs"),
    ("OTEL_SDK_DISABLED", "maybe"),
    ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "absent"),
]  # fmt: skip
UNREAD = [
    "OTEL_PROPAGATORS",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_CONFIG_FILE",
    "OTEL_LOG_LEVEL",
    "OTEL_ANYTHING",
]


WORDS = ("localhost:4317", "collector", "prometheus")  # also in the text of warnings


def rounds(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the pairs as few environments, in which no warning hides another."""
    found: list[tuple[str, dict[str, str]]] = []
    for name, value in pairs:
        kinds = (
            "OTLP_ENDPOINT",
            "OTLP_PROTOCOL",
            "ENDPOINT",
            "PROTOCOL",
            "SAMPLER_ARG",
            "SAMPLER",
            "CREDENTIAL_PROVIDER",
        )
        kind = next((kind for kind in kinds if kind in name), "")
        fitting = (one for other, one in found if other == kind)
        free = next((one for one in fitting if name not in one), None)
        if free is None:
            found.append((kind, {name: value}))
        else:
            free[name] = value
    return [values for _, values in found]


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        yield running


def exporting(receiver: OtlpReceiver, protocol: str = "http/protobuf") -> Configuration:
    return {"telemetry": {"endpoint": receiver.url(protocol), "protocol": protocol, "logs": True}}


def warning_while_serving(configuration: Configuration, variables: Mapping[str, str]) -> str:
    """Return what the server has logged on stderr after it has answered a call."""
    with stdio_client(configuration, variables=variables) as client:
        client.handshake()
        answer = client.call("tools/call", {"name": "echo", "arguments": {"message": "served"}})
        assert answer["result"]["content"][0]["text"] == "served"
        wait_until(lambda: "name=echo" in client.child.stderr(), "the log line of the call")
        return client.child.stderr()


@pytest.mark.parametrize(("variable", "value"), SETTINGS)
def test_a_value_that_a_setting_does_not_accept_is_a_warning_without_telemetry(variable: str, value: str) -> None:
    logged = warning_while_serving(None, {variable: value})
    assert f"{variable}: " in logged
    assert "warning" in logged
    assert "Traceback" not in logged


@pytest.mark.parametrize("values", rounds([*SETTINGS, *OTHERS]))
def test_values_that_cannot_be_used_are_warnings_with_telemetry(values: Mapping[str, str]) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    logged = warning_while_serving(None, {**endpoint, "TELEMETRYFLOW_MCP_TELEMETRY_LOGS": "true", **values})
    warnings = [line for line in logged.splitlines() if " warning " in line]
    assert [name for name in values if not any(name in line for line in warnings)] == [], logged
    assert "Traceback" not in logged
    assert not any(value in logged for value in values.values() if len(value) > 8 and value not in WORDS), logged


@pytest.mark.parametrize("variable", UNREAD)
def test_a_variable_that_nothing_reads_does_no_harm(variable: str, receiver: OtlpReceiver) -> None:
    logged = warning_while_serving(exporting(receiver), {variable: "garbage", **SOON})
    assert " warning " not in logged
    receiver.named("tools/call echo")
    receiver.clear()


@pytest.mark.parametrize(
    "variable",
    ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_TRACES_SAMPLER"],
)
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_blank_variable_counts_as_unset(variable: str, protocol: str, receiver: OtlpReceiver) -> None:
    logged = warning_while_serving(exporting(receiver, protocol), {**SOON, variable: " "})
    assert " warning " not in logged
    receiver.named("tools/call echo")
    receiver.clear()


def test_no_compression_can_be_asked_for_by_name(receiver: OtlpReceiver) -> None:
    logged = warning_while_serving(exporting(receiver, "grpc"), {**SOON, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
    assert " warning " not in logged
    receiver.named("tools/call echo")
    receiver.clear()


def test_only_the_signal_that_a_variable_is_for_is_not_exported(receiver: OtlpReceiver) -> None:
    logged = warning_while_serving(exporting(receiver), {**SOON, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"})
    assert "metrics are not exported" in logged
    assert "traces are not exported" not in logged
    receiver.named("tools/call echo")
    receiver.clear()


def test_an_address_without_a_scheme_is_an_endpoint_of_grpc(receiver: OtlpReceiver) -> None:
    variables = {
        **SOON,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url("grpc").removeprefix("http://"),
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    logged = warning_while_serving(None, variables)
    assert " warning " not in logged
    receiver.named("tools/call echo")
    receiver.clear()


def test_an_address_without_a_scheme_can_be_given_for_one_signal(receiver: OtlpReceiver) -> None:
    variables = {
        **SOON,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url("grpc").removeprefix("http://"),
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "true",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    }
    assert " warning " not in warning_while_serving(None, variables)
    receiver.named("tools/call echo")
    receiver.clear()


def test_a_sampler_argument_that_the_sampler_does_not_need_is_only_ignored(receiver: OtlpReceiver) -> None:
    variables = {**SOON, "OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "garbage"}
    logged = warning_while_serving(exporting(receiver), variables)
    assert "traces are not exported" not in logged
    receiver.named("tools/call echo")
    receiver.clear()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PROTOCOL", "http/json"),
        ("ENDPOINT", "localhost:4317"),
        ("ENDPOINT", "collector"),
        ("SAMPLE_RATIO", "endpoint=http://localhost:14250"),
    ],
)
def test_a_value_of_our_own_variable_stays_an_error(setting: str, value: str) -> None:
    variable = f"TELEMETRYFLOW_MCP_TELEMETRY_{setting}"
    with child(["serve", "--transport", "stdio"], variables={variable: value}) as ended:
        assert ended.wait() == 2
        assert f"telemetry.{setting.lower()}" in ended.stderr()


def test_a_value_of_our_own_wins_over_one_that_cannot_be_used(receiver: OtlpReceiver) -> None:
    variables = {**SOON, "OTEL_EXPORTER_OTLP_ENDPOINT": "garbage", "OTEL_TRACES_SAMPLER_ARG": "garbage"}
    configuration = {"telemetry": {"endpoint": receiver.url("http/protobuf"), "sample_ratio": 1}}
    logged = warning_while_serving(configuration, variables)
    assert "not exported" not in logged
    receiver.named("tools/call echo")
    receiver.clear()
