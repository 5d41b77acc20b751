# The server in a container. It serves the network transports on port 8080 as an unprivileged user and needs no shell. It writes
# only to /var/lib/tfo-mcp, /tmp and /workspace, so its root file system can be read-only (docs/operations.md). A configuration
# is read from /etc/tfo-mcp/tfo-mcp.yaml, which no tool can access. Tools and commands work in /workspace.

# Any image with Python >= 3.11, its venv module, and pip; both stages use the same image.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY app app
COPY transports transports
RUN python3 -m venv /opt/tfo-mcp \
    && /opt/tfo-mcp/bin/python -m pip install --no-cache-dir --constraint constraints.txt '.[claude,nats,oauth,redis,sql,telemetry]' \
    && /opt/tfo-mcp/bin/python -m pip uninstall --yes pip \
    && mkdir -p /made/state /made/workspace

FROM ${BASE_IMAGE}
COPY --from=build /opt/tfo-mcp /opt/tfo-mcp
COPY --from=build --chown=10001:10001 /made/state /var/lib/tfo-mcp
COPY --from=build --chown=10001:10001 /made/workspace /workspace
ENV PATH=/opt/tfo-mcp/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/tfo-mcp \
    XDG_STATE_HOME=/var/lib \
    PYTHONDONTWRITEBYTECODE=1 \
    TELEMETRYFLOW_MCP_SERVER_TRANSPORT=http \
    TELEMETRYFLOW_MCP_SERVER_HOST=0.0.0.0 \
    TELEMETRYFLOW_MCP_FILES_ROOTS=/workspace \
    TELEMETRYFLOW_MCP_LOGGING_FORMAT=json
WORKDIR /etc/tfo-mcp
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["tfo-mcp", "health"]
ENTRYPOINT ["tfo-mcp"]
CMD ["serve"]
