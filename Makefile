# Everything a newcomer types.  `make` alone lists it.
#
# Python and its packages go into .venv, npm packages into node_modules, what can be made again into build/, and
# records into outputs/.  Nothing is installed outside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

SYSTEM ?= joan
SCALE ?= demo
UV := 0.13.8

# The first Python on the PATH that is new enough; `make PYTHON=/path/to/python3` overrides it.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)

VENV := .venv
BIN := $(VENV)/bin
# A stamp lies inside what it vouches for and is written last: whoever removes the one removes the other, and an
# interrupted installation is done again.
VENV_STAMP := $(VENV)/.made
PYTHON_STAMP := $(VENV)/.installed
NODE_STAMP := node_modules/.installed

# A rehearsal has servers of its own, where the legacy side has any: the ports of params/<system>/rehearsal.yaml.
REHEARSAL_PORTS := $(if $(filter personality-spark,$(SYSTEM)),--port-postgresql 5553 --port-redis 6391)

.PHONY: help install demo rehearse test ci-local edits mutation roundtrip model lint format golden lab bench lock down clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  SYSTEM=$(SYSTEM)   whose runbook       SCALE=$(SCALE)   small, demo or large: how much legacy data'

install: $(PYTHON_STAMP) $(NODE_STAMP) ## Python and npm packages into .venv and node_modules

demo: install ## Move Joan's generated database and files to the local Cloudflare runtime, with proof
	@echo '== legacy data of $(SYSTEM), scale $(SCALE)'
	@$(BIN)/python -m runbooks.$(SYSTEM).legacy generate --scale $(SCALE) --to build/$(SYSTEM)
	@echo '== local Cloudflare runtime'
	@$(BIN)/towpath local up $(SYSTEM) --env local --fresh
	@echo '== voyage'
	@$(BIN)/towpath run $(SYSTEM) --env local
	@echo 'The local runtime is still up, so that you can look around; `make down` stops it.'

# Beside the servers of the demo, which may be up.
rehearse: export PERSONALITY_SPARK_PORT_POSTGRESQL := 5553
rehearse: export PERSONALITY_SPARK_PORT_REDIS := 6391
rehearse: install ## A cutover and its way back under live traffic, with every write accounted for
	@echo '== legacy data of $(SYSTEM), scale $(SCALE)'
	@$(BIN)/python -m runbooks.$(SYSTEM).legacy generate --scale $(SCALE) --to build/rehearsal/$(SYSTEM) $(REHEARSAL_PORTS)
	@echo '== rehearsal'
	@$(BIN)/towpath rehearse $(SYSTEM)

test: install lint ## Linters, types and the whole test suite
	$(BIN)/pytest -n 2 --dist loadscope

ci-local: install ## The steps of .github/workflows/rehearse.yml, run here, at SCALE=small
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/ci.py steps .github/workflows/rehearse.yml rehearse system=$(SYSTEM)

edits: install ## Change 10,000 bytes of a record, one at a time; `towpath verify` must see each
	EDITS=10000 $(BIN)/pytest -q tests/unit/test_runs_seal.py -k any_byte

mutation: install ## The validator's own score: 10,000 faults, 1,000 clean sources, half an hour
	PYTHONPATH=tests:. $(BIN)/python -m mutation

model: install ## Every order of events of a cutover: 7 million states, and each spoiled table found out
	PYTHONPATH=tests:. $(BIN)/python -m cutover_model

roundtrip: install ## 5,000 generated tables each of SQLite and PostgreSQL into D1 and back, value by value
	ROUNDTRIP=$${ROUNDTRIP:-5000} $(BIN)/pytest -q -s tests/property/test_roundtrip_sqlite.py \
		tests/property/test_roundtrip_postgresql.py

lint: install ## ruff and mypy only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict lib

format: install ## Let ruff put the sources into their form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: install ## Make the golden copies of the notebooks anew; read the difference before you commit it
	$(BIN)/python tests/notebooks/make_golden.py

lab: install ## JupyterLab on the notebooks, with the local runtime up
	@[ -e build/$(SYSTEM) ] || $(BIN)/python -m runbooks.$(SYSTEM).legacy generate --scale $(SCALE) --to build/$(SYSTEM)
	@$(BIN)/towpath local up $(SYSTEM) --env local
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

bench: install ## Rows a second of export, import and proof, against what the engines can do
	@for file in tests/benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

lock: $(VENV_STAMP) ## Resolve environment.yml and package.json again into their lock files
	@test -x build/uv/bin/uv || { "$(PYTHON)" -m venv build/uv && build/uv/bin/python -m pip install -q uv==$(UV); }
	$(BIN)/python tools/environment.py | build/uv/bin/uv pip compile - --universal --generate-hashes \
		--python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--output-file build/requirements.lock > build/lock.log
	mv build/requirements.lock requirements.lock
	@$(MAKE) $(PYTHON_STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm install --package-lock-only --ignore-scripts

down: ## Stop what demo, lab and a killed rehearsal leave up: the local runtime, the servers of the legacy side
	@if [ -x $(BIN)/towpath ]; then $(BIN)/towpath local down $(SYSTEM) --env local; fi
	@if [ -d build/local/$(SYSTEM)-rehearsal ]; then $(BIN)/towpath local down $(SYSTEM) --env rehearsal; fi
	@for data in build/$(SYSTEM) build/rehearsal/$(SYSTEM); do if [ -d "$$data/postgresql" ]; then \
		$(BIN)/python -m runbooks.$(SYSTEM).legacy down --data "$$data"; fi; done

clean: ## Stop every local runtime and server; remove .venv, node_modules, build/ and caches; keep outputs/
	@if [ -f $(PYTHON_STAMP) ]; then \
		$(BIN)/python -c 'from pathlib import Path; from towpath.local import down_all; down_all(Path.cwd())'; \
		for one in build/*/postgresql build/rehearsal/*/postgresql; do if [ -d "$$one" ]; then data=$$(dirname "$$one"); \
			$(BIN)/python -m runbooks.$$(basename "$$data").legacy down --data "$$data"; fi; done; fi
	rm -rf $(VENV) node_modules build .mypy_cache .ruff_cache .pytest_cache .hypothesis lib/*.egg-info
	find lib notebooks runbooks tests tools -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	@echo 'outputs/ is kept: it holds the records of what was moved. Remove it yourself if you are sure.'

$(VENV_STAMP):
	@if [ -z "$(PYTHON)" ]; then \
		echo 'Towpath needs Python 3.11 or newer, and none was found. Next: install one, or say make PYTHON=/path/to/python3' >&2; \
		exit 3; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Towpath needs Python 3.11 or newer, this is " \
		+ sys.version.split()[0] + ". Next: make PYTHON=/path/to/a/newer/python3")'
	@if ! $(BIN)/python -m pip --version > /dev/null 2>&1; then "$(PYTHON)" -m venv --clear $(VENV); fi
	@touch $@

$(PYTHON_STAMP): requirements.lock pyproject.toml $(VENV_STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_STAMP): package.json package-lock.json .npmrc $(PYTHON_STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --ignore-scripts --loglevel error
	@touch $@
