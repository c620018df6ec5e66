# Lineside: everything a developer or a visitor runs. `make` alone lists the targets.
# All paths are relative, so that the checkout may lie in a folder with spaces in its name.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.11
ARGS ?=
export LINESIDE_HOME ?= $(CURDIR)/.lineside
export HF_HUB_OFFLINE ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0
export VLLM_NO_USAGE_STATS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

VENV := .venv
PY := $(VENV)/bin/python
STAMPS := $(VENV)/.lineside
# A stamp's name holds the hash of what it was made from: another lock gives another name, and only then pip runs.
hash = $(shell cat $(1) | sha256sum | cut -c1-16)
VENV_STAMP := $(STAMPS)/venv
PACKAGES_STAMP := $(STAMPS)/packages-$(call hash,requirements/lock.txt)
PROJECT_STAMP := $(STAMPS)/project-$(call hash,requirements/lock.txt pyproject.toml)

.PHONY: help setup models knowledge demo cell serve test test-fast lint format bench bench-encoders bench-index lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables: PYTHON=$(PYTHON)  LINESIDE_HOME=$(LINESIDE_HOME)  ARGS=(options for demo, cell, serve, test, bench)"

# ---- Environment ------------------------------------------------------------------------------------------------

$(VENV_STAMP):
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "error: $(PYTHON) is not there. Install Python 3.11 (Debian: apt-get install python3.11 python3.11-venv)," \
	         "or say where it is: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	    echo "error: $(PYTHON) is $$("$(PYTHON)" -V 2>&1), but the lock file is for Python 3.11:" \
	         "make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "error: $(PYTHON) lacks venv or ensurepip (Debian: apt-get install python3.11-venv)" >&2; exit 1; }
	@echo "[setup 1/5] virtual environment in $(VENV)"
	@"$(PYTHON)" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(PACKAGES_STAMP): | $(VENV_STAMP)
	@echo "[setup 2/5] $$(grep -c == requirements/lock.txt) packages from requirements/lock.txt: some minutes the first time"
	@$(PY) -m pip install --no-deps --requirement requirements/lock.txt
	@$(PY) -c 'import torch' || { \
	    echo "error: torch does not load. The lock is for its CPU build: point pip at an index or a folder of wheels that" \
	         "has torch +cpu (PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS), remove $(VENV) and run make setup again;" \
	         "see requirements/README.md" >&2; exit 1; }
	@rm -f $(STAMPS)/packages-* && touch $@

$(PROJECT_STAMP): | $(PACKAGES_STAMP)
	@echo "[setup 3/5] lineside itself, editable"
	@$(PY) -m pip install --no-deps --no-build-isolation --quiet --editable .
	@rm -f $(STAMPS)/project-* && touch $@

models: $(PROJECT_STAMP) ## prepare the local models below LINESIDE_HOME
	@echo "[setup 4/5] models"
	@$(PY) -m demo.prepare_models

knowledge: models ## build the demo plant's release from its manuals, incidents and frames
	@echo "[setup 5/5] the demo plant's knowledge"
	@$(PY) -m demo.build_knowledge

setup: knowledge ## install everything; quick when nothing changed
	@echo "Ready. Next: make demo"

# ---- Use --------------------------------------------------------------------------------------------------------

demo: setup ## start the application, ask a question with a picture, show the cited answer
	@$(PY) -m demo.run $(ARGS)

cell: setup ## two gateways of the demo plant: a release reaches them, the network is cut and comes back
	@$(PY) -m demo.cell $(ARGS)

serve: setup ## run the application in the foreground with serve_config.yaml
	@$(VENV)/bin/lineside serve $(ARGS)

bench: setup ## measure: baseline, this application and the raw encoder limit side by side
	@$(PY) -m benchmarks.serve_bench $(ARGS)

bench-encoders: models ## measure: the encoders alone against the machine's matrix-product limit
	@$(PY) -m benchmarks.encoders_bench $(ARGS)

bench-index: models ## measure: vector indexes beside hnswlib, usearch and ScaNN (ARGS=--quick: a few minutes)
	@grep -v '^#' requirements/index_bench.txt | while read -r package; do \
	    $(PY) -m pip install --quiet --no-deps "$$package" || echo "$$package does not install here: it is left out"; done
	@$(PY) -m benchmarks.index_bench $(ARGS)

# ---- Development ------------------------------------------------------------------------------------------------

lint: $(PROJECT_STAMP) ## formatting, lint, types, import contracts
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(PROJECT_STAMP) ## format the code and mend what ruff can mend
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

test: setup ## every test, the slow and the integration ones too
	$(PY) -m pytest --durations=15 $(ARGS)

test-fast: models ## only the tests that need no real processes and little time
	$(PY) -m pytest -m "not slow and not integration" $(ARGS)

lock: ## remake requirements/lock.txt (needs uv)
	requirements/compile.sh $(ARGS)

clean: ## remove caches and build products; the environment, models and releases stay
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment and the data in ./.lineside as well
	rm -rf $(VENV) .lineside
