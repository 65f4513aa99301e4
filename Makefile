# Everything below works in .venv beside this file and needs only Python 3.11 or later.
#   make quickstart   from the crystal of LGPS to D(T)
#   make test         all tests, with coverage
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first Python that is new enough; `make PYTHON=/path/to/python ...` takes another.
CANDIDATES := python3 python3.13 python3.12 python3.11
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(shell $(p) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(p))))

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

# What a run needs, and what developing needs on top: two stamps, so that `make quickstart`
# installs nothing it does not use.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

# Engines and numerical libraries would otherwise each take all cores in every process.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	DP_INTRA_OP_PARALLELISM_THREADS=1 DP_INTER_OP_PARALLELISM_THREADS=1
JOBS ?= 2
PYTEST_ARGS ?=

.PHONY: help venv quickstart test lint ruff format-check mypy contracts sizes docs benchmark \
	clean distclean

help:
	@echo "make quickstart   from the crystal of LGPS to D(T), by one command"
	@echo "make test         all tests with coverage (JOBS=2, PYTEST_ARGS='-k msd')"
	@echo "make lint         style, types, import contracts, sizes (add -k to see all)"
	@echo "make docs         documentation into docs/_build/html"
	@echo "make benchmark    the ratios of docs/benchmarks.md, measured here"
	@echo "make venv         only make .venv, with everything for development"
	@echo "make clean        remove caches and what was built; distclean removes .venv too"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found (tried: $(CANDIDATES));" \
		"install one, or give its path: make PYTHON=/path/to/python ..." >&2; exit 2; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1)," \
		"need 3.11 or later: make PYTHON=/path/to/python ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "cannot make a virtual environment;" \
		"on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[sevennet]"
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	$(INSTALL) -e ".[dev]"
	@touch $@

venv: $(DEV_STAMP)

quickstart: $(RUN_STAMP)
	$(BIN)/python -m dasksse.run configs/lgps-quickstart.yaml

test: $(DEV_STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov=dasksse --cov-report=term $(PYTEST_ARGS)

lint: ruff format-check mypy contracts sizes

ruff: $(DEV_STAMP)
	$(BIN)/ruff check .

format-check: $(DEV_STAMP)
	$(BIN)/ruff format --check .

mypy: $(DEV_STAMP)
	$(BIN)/mypy

contracts: $(DEV_STAMP)
	$(BIN)/lint-imports

sizes: $(DEV_STAMP)
	$(BIN)/python tools/size_check.py

docs: $(DEV_STAMP)
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

benchmark: $(DEV_STAMP)
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf build dist htmlcov docs/_build .pytest_cache .ruff_cache .mypy_cache \
		.import_linter_cache .hypothesis .coverage .coverage.* *.egg-info
	find dasksse tests tools docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
