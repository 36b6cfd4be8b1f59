# The only entrance: people and CI call nothing else. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup run test check format conformance circle chaos sim fuzz bench clean

comma := ,
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.setup-done
# Pages are tested in a browser where there is one.
EXTRAS := examples,dev$(if $(shell command -v chromium),$(comma)browser)
ARGS   ?=
WORKERS ?= 2
ONLY   ?=

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

setup: $(STAMP) ## build the environment in .venv (nothing to do when it is up to date)

# The build backend is installed first and pinned like everything else, so that pip need not fetch one of its own.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make setup PYTHON=…" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling
	$(BIN)/python -m pip install --quiet --no-build-isolation --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

run: setup ## start Ratchet with the example tasks, run one of them through MCP, stay up
	$(BIN)/python -P -m examples.quickstart $(ARGS)

# Most tests wait for processes, so two at a time use two cores; the tests of a file share what they start.
test: setup ## every suite but the checks of the documentation; ARGS=… goes to pytest
	$(BIN)/python -m pytest --ignore=tests/docs --numprocesses $(WORKERS) --dist loadfile $(ARGS)

check: setup ## format, lint, types, import contracts, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest tests/docs

format: setup ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

conformance: setup ## the official MCP suite against Ratchet; needs npm and, the first time, the network
	$(BIN)/python -P -m tests.conformance

chaos: setup ## kill, stop and starve every kind of process under load: N=10000 executions, SEED=1; ONLY=worker,child for some
	$(BIN)/python -P -m tests.chaos --executions $(or $(N),10000) --seed $(or $(SEED),1) $(if $(ONLY),--only $(ONLY)) $(ARGS)

sim: setup ## whole Ratchets under seeded trouble, in virtual time: N=1000 schedules from SEED=1
	$(BIN)/python -P -m tests.simulation --schedules $(or $(N),1000) --seed $(or $(SEED),1) $(ARGS)

fuzz: setup ## malformed and hostile frames, bodies and messages of children: N=100000 from SEED=1
	$(BIN)/python -P -m tests.fuzz --inputs $(or $(N),100000) --seed $(or $(SEED),1) $(ARGS)

circle: setup ## a task asks a provider, MCP servers and its caller's own LLM: every era and transport
	$(BIN)/python -P -m tests.circle

bench: setup ## measure against bare SDK servers; ONLY=mcp, stdio, ipc, executions, memory or peers for a part
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
