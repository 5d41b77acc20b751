# On a machine with Python >= 3.11 and npm, `make run` and `make test` need no other setup.

PYTHON ?= python3
VENV := .venv
SETTINGS := $(or $(TELEMETRYFLOW_MCP_CONFIG),tfo-mcp.yaml)
BIN := $(VENV)/bin
NPM_INSTALL := npm install --no-package-lock --no-audit --no-fund --loglevel=error

.DEFAULT_GOAL := help
.PHONY: help install run test test-deps lint format bench load restarts fuzz image image-test mcpb advisories clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(VENV)/.installed ## Create .venv with all dependencies for running, testing and benchmarking

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[claude,oauth,telemetry]'
	@touch $@

# Reads the settings of this directory; the root is ./workspace, unless the settings name roots.
run: install ## Serve the directory ./workspace on 127.0.0.1:8080, unless the settings say otherwise
	@mkdir -p workspace
	cd workspace && "$(CURDIR)/$(BIN)/tfo-mcp" serve --transport http --config "$(abspath $(SETTINGS))"

test-deps: install node_modules/.installed ## Fetch the conformance suite, real clients, their Node.js, a Chromium, bubblewrap
	sh tests/e2e/install-packages.sh

node_modules/.installed: package.json
	$(NPM_INSTALL)
	@touch $@

test: test-deps ## Run every test
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

lint: install ## Check format, style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## Measure against the peers (takes minutes; results in bench/results)
	$(BIN)/python -m bench

load: install ## Hold, flood and drop many connections, and simulate attacks (15 minutes; results in bench/results)
	$(BIN)/python -m bench.load

restarts: test-deps ## Restart two servers behind nginx while clients call (takes a minute)
	$(BIN)/python -m tests.e2e.rolling_restart

fuzz: install ## Feed a million corrupted messages to the codec, and hostile ones to running servers (takes minutes)
	$(BIN)/python -m tests.security.fuzzing --inputs 1000000

image: ## Build the container image (needs docker, podman or buildah)
	@for tool in docker podman buildah; do command -v $$tool >/dev/null && exec $$tool build --tag tfo-mcp .; done; \
	echo "docker, podman or buildah is required." >&2; exit 1

image-test: install ## Build the image without an engine and run it (as root, with buildah and debootstrap; takes minutes)
	$(BIN)/python -m tests.deployment.image

mcpb: install ## Build the bundle for desktop hosts into dist/
	$(BIN)/python deploy/mcpb/build.py

advisories: install ## Check the pinned packages against the advisory database (needs the network)
	$(PYTHON) -m venv .advisories
	.advisories/bin/python -m pip install --quiet pip-audit
	.advisories/bin/pip-audit --disable-pip --no-deps --requirement constraints.txt

clean: ## Remove everything that the other targets created
	rm -rf $(VENV) .advisories node_modules bench/peers/typescript_sdk/node_modules dist test-artifacts .mypy_cache .ruff_cache .pytest_cache
