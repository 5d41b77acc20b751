"""The environment lines that make a program send its telemetry to this server, per language."""

from tfo_mcp.plugins.telemetry import StoreStatus


def setup_lines(status: StoreStatus) -> list[str]:
    """Return the lines for programs in Python, Node, Java and Go; programs in other languages need the first block."""
    if status.otlp_http is None:
        return ["This store does not receive telemetry: programs send to its own collector."]
    key = 'export OTEL_EXPORTER_OTLP_HEADERS="X-TelemetryFlow-Key-ID=ID,X-TelemetryFlow-Key-Secret=SECRET"'
    grpc = [] if status.otlp_grpc is None else [f"# or gRPC: {status.otlp_grpc} with OTEL_EXPORTER_OTLP_PROTOCOL=grpc"]
    return [
        "Set for every program, with a name of your own:",
        "export OTEL_SERVICE_NAME=my-service",
        f"export OTEL_EXPORTER_OTLP_ENDPOINT={status.otlp_http}",
        "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "export OTEL_TRACES_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp",
        *([f"{key}  # of your operator"] if status.key_required else []),
        *grpc,
        "Python: export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true",
        "  pip install opentelemetry-distro opentelemetry-exporter-otlp && opentelemetry-bootstrap -a install",
        "  opentelemetry-instrument python app.py",
        "Node: npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node",
        '  NODE_OPTIONS="--require @opentelemetry/auto-instrumentations-node/register" node app.js',
        "Java: JAVA_TOOL_OPTIONS=-javaagent:opentelemetry-javaagent.jar java -jar app.jar",
        "Go: go get go.opentelemetry.io/contrib/exporters/autoexport; the exporters of autoexport.NewSpanExporter(ctx) "
        "read these variables",
    ]
