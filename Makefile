# On a machine with Python >= 3.11 and npm, `make run` and `make test` need no other setup.

PYTHON ?= python3
VENV := .venv
SETTINGS := $(or $(TELEMETRYFLOW_MCP_CONFIG),tfo-mcp.yaml)
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on
NPM_INSTALL := npm install --no-package-lock --no-audit --no-fund --loglevel=error

.DEFAULT_GOAL := help
.PHONY: help install run test test-deps lint schemas format bench load eval eval-peers own-faults restarts store-kills telemetry-load telemetry-inserts telemetry-queries replicas faults events fuzz roundtrip clients instrumented image image-test mcpb advisories clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(VENV)/.installed ## Create .venv with what running needs

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing tfo-mcp and its dependencies into $(VENV) (about 340 MB) ..."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	$(INSTALL) --constraint constraints.txt --editable '.[clickhouse,claude,nats,oauth,observability,redis,sql,telemetry]'
	@touch $@

# The groups of pyproject.toml: lint has all of test, since the types of tests are checked, too.
$(VENV)/.test $(VENV)/.lint: $(VENV)/.installed
	@echo "Installing what 'make $(@:$(VENV)/.%=%)' needs into $(VENV) ..."
	$(INSTALL) --constraint constraints.txt --group $(@:$(VENV)/.%=%)
	$(INSTALL) --constraint constraints.txt --no-deps --group engine
	@touch $@

# Reads the settings of this directory; the root is ./workspace, unless the settings name roots.
run: install ## Serve the directory ./workspace on 127.0.0.1:8080, unless the settings say otherwise
	@mkdir -p workspace
	cd workspace && "$(CURDIR)/$(BIN)/tfo-mcp" serve --transport http --config "$(abspath $(SETTINGS))"

test-deps: $(VENV)/.test node_modules/.installed ## Fetch the conformance suite, real clients, their Node.js, a Chromium, bubblewrap
	sh tests/e2e/install-packages.sh

node_modules/.installed: package.json
	$(NPM_INSTALL)
	@touch $@

test: test-deps ## Run every test (WORKERS=4 sets the number of processes)
	$(BIN)/python -m pytest --numprocesses=$(or $(WORKERS),auto) --dist=loadfile --no-loadscope-reorder  # else the slow files with few tests come last

lint: $(VENV)/.lint ## Check format, style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

schemas: $(VENV)/.test ## Generate the schemas of the protocol's messages from mcp-types, and those of events
	$(BIN)/python -m tests.support.protocol_schemas
	$(BIN)/python -m tests.support.event_schemas

format: $(VENV)/.lint ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test ## Measure against the peers (takes minutes; results in bench/results)
	$(BIN)/python -m bench

load: $(VENV)/.test ## Hold, flood and drop many connections, and simulate attacks (15 minutes; results in bench/results)
	$(BIN)/python -m bench.load

eval: $(VENV)/.test ## Load a recorded day and ask the telemetry tools about it (DATA=ARCHIVE; results in bench/results)
	$(BIN)/python -m bench.evaluation $(or $(DATA),$(error DATA names the archive of a recorded day))

eval-peers: test-deps ## Ask other MCP servers the questions of eval (DATA=ARCHIVE; fetches packages; 10 minutes)
	$(BIN)/python -m bench.evaluation.peers $(or $(DATA),$(error DATA names the archive of a recorded day))

own-faults: test-deps ## Switch 12 faults of own services on, and ask compare once about each (15 minutes; fetches 200 MB)
	$(BIN)/python -m bench.own_faults

telemetry-load: $(VENV)/.test ## Send 20,000 spans a second to the telemetry store for a minute, and query it meanwhile
	$(BIN)/python -m bench.telemetry_store --rate 20000 --seconds 60

telemetry-inserts: $(VENV)/.test ## Fill a ClickHouse over OTLP as fast as it acknowledges (chDB; a minute)
	$(BIN)/python -m bench.clickhouse_inserts

telemetry-queries: $(VENV)/.test ## Ask the telemetry tools about five million spans (10 minutes)
	$(BIN)/python -m bench.telemetry_queries

store-kills: $(VENV)/.test ## Kill the telemetry store 50 times while spans are sent, and look for all that were acknowledged
	$(BIN)/python -m tests.support.store_kills --times 50

restarts: test-deps ## Restart three replicas behind nginx while clients call (takes a minute)
	$(BIN)/python -m tests.e2e.rolling_restart

replicas: test-deps ## Run the suites over HTTP against three replicas behind nginx (8 minutes; TIMES=10 repeats it)
	$(BIN)/python -m tests.behaviour.replicas --times $(or $(TIMES),1)

faults: test-deps ## Kill and disturb replicas, Redis and PostgreSQL while clients call (25 minutes)
	$(BIN)/python -m tests.e2e.fault_campaign

events: test-deps ## Kill servers, NATS and PostgreSQL while clients write, and count the events in the stream (10 minutes)
	$(BIN)/python -m tests.e2e.event_campaign

fuzz: $(VENV)/.test ## Feed a million corrupted messages to the codec, and hostile ones to running servers (takes minutes)
	$(BIN)/python -m tests.security.fuzzing --inputs 1000000

roundtrip: $(VENV)/.test ## Read and edit 4,000 real files through the server, byte for byte (fetches packages; minutes)
	$(BIN)/python -m tests.roundtrip

clients: $(VENV)/.test ## List and call with agent frameworks, over HTTP and stdio (fetches 450 MB of packages)
	$(BIN)/python -m tests.clients

instrumented: test-deps ## Compare what instrumented FastAPI and Express programs send with what is stored (fetches 200 MB)
	$(BIN)/python -m tests.instrumented

image: ## Build the container image (needs docker, podman or buildah)
	@for tool in docker podman buildah; do command -v $$tool >/dev/null && exec $$tool build --tag tfo-mcp .; done; \
	echo "docker, podman or buildah is required." >&2; exit 1

image-test: $(VENV)/.test ## Build the image without an engine and run it (as root, with buildah and debootstrap; takes minutes)
	$(BIN)/python -m tests.deployment.image

mcpb: install ## Build the bundle for desktop hosts into dist/
	$(BIN)/python deploy/mcpb/build.py

advisories: install ## Check the pinned packages against the advisory database (needs the network)
	$(PYTHON) -m venv .advisories
	.advisories/bin/python -m pip install --quiet pip-audit
	.advisories/bin/pip-audit --disable-pip --no-deps --requirement constraints.txt

clean: ## Remove everything that the other targets created
	rm -rf $(VENV) .advisories .roundtrip .clients .instrumented .peers node_modules bench/peers/typescript_sdk/node_modules dist test-artifacts .mypy_cache .ruff_cache .pytest_cache
