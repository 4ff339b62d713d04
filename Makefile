# Nearfield: every command a developer needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV ?= uv
# several processes of tests, a file's tests in one of them, in the order of the folders: ARGS="-n 0" for a single one
WORKERS := -n auto --dist loadfile --no-loadscope-reorder
LOCK := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit test-systemd soak check format bench fuzz proto sbom audit lock clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

setup: $(VENV)/.ready  ## .venv with everything for development

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Nearfield needs Python 3.11 or newer: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## coordinator, broker and two nodes on this machine: ARGS="--seconds 20 --json"
	@$(BIN)/edgectl demo $(ARGS)

test: setup  ## all tests: ARGS="-k outbox"
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-unit: setup  ## the unit tests alone (half a minute)
	@$(BIN)/python -m pytest $(WORKERS) tests/unit $(ARGS)

soak: SEED := $(or $(SEED),$(shell date +%s))
soak: setup  ## the tests whose sizes scale, N times as large: N=10 SEED=1 ARGS="-k tokens"
	@NEARFIELD_SOAK=$(or $(N),10):$(SEED) $(BIN)/python -m pytest -m soak --hypothesis-seed=$(SEED) $(ARGS)

test-systemd: setup  ## the services under a real systemd, in a virtual machine (as root; a quarter of an hour)
	@tests/systemd/boot.sh

check: setup $(VENV)/proto/.ready  ## format, lint, types, layering, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.toml
	$(BIN)/python -m tests.generated

format: setup  ## format and fix what can be fixed by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## the benchmarks, as a table and as JSON (build/bench.json)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

$(VENV)/.fuzz-ready: requirements/fuzz.txt | setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

fuzz: setup $(VENV)/.fuzz-ready  ## fuzz every parser with coverage, a minute each: TARGETS="envelope csr" SECONDS=60
	@for target in $(or $(TARGETS),$$($(BIN)/python -m tests.fuzz --list)); do \
		$(BIN)/python -m tests.fuzz $$target -max_total_time=$(or $(SECONDS),60) -max_len=4096 || exit 1; done

$(VENV)/proto/.ready: requirements/proto.txt | setup
	test -x $(VENV)/proto/bin/python || $(PYTHON) -m venv $(VENV)/proto
	$(VENV)/proto/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/proto.txt
	@touch $@

proto: $(VENV)/proto/.ready  ## generate the gRPC stubs
	$(BIN)/python -m tests.generated --write

$(VENV)/audit/.ready: requirements/audit.txt
	test -x $(VENV)/audit/bin/python || $(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

sbom: $(VENV)/audit/.ready  ## the parts lists (CycloneDX) of what is shipped: build/sbom/
	@mkdir -p build/sbom
	@for name in node coordinator; do \
	  PYTHONWARNINGS=ignore $(VENV)/audit/bin/cyclonedx-py requirements requirements/$$name.txt \
	    --pyproject pyproject.toml --mc-type application --output-reproducible --spec-version 1.6 -o build/sbom/nearfield-$$name.cdx.json || exit 1; \
	  echo build/sbom/nearfield-$$name.cdx.json; \
	done

audit: setup $(VENV)/audit/.ready  ## known vulnerabilities of all locked packages (asks a public service)
	@$(BIN)/python -m tests.audit $(VENV)/audit/bin/pip-audit

lock:  ## resolve the requirement locks again (needs uv)
	$(LOCK) pyproject.toml --extra dev -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra node -o requirements/node.txt
	$(LOCK) pyproject.toml --extra coordinator --extra postgres -o requirements/coordinator.txt
	$(LOCK) pyproject.toml --extra tflite-runtime --extra image -o requirements/tflite-runtime.txt
	$(LOCK) requirements/proto.in -o requirements/proto.txt
	$(LOCK) requirements/fuzz.in -o requirements/fuzz.txt
	$(LOCK) requirements/audit.in -o requirements/audit.txt
	$(LOCK) requirements/tritonclient.in -o requirements/tritonclient.txt
	$(LOCK) --no-deps requirements/perf-analyzer.in -o requirements/perf-analyzer.txt

clean:  ## remove what make made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
