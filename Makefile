# make run       set up on first use, then serve the assistant on 127.0.0.1:8400
# make test      set up on first use, then run every test but the drills (real models, Postgres and a browser included)
# make test-all  everything: style, types, every test, the drills, and the stores without the shortcuts of tests/conftest.py
# make check     format, lint, types, architecture and the fast tests
# make docs      write the reference pages from the code, and build the site into site/ with every link checked
# make web       build the web client from web/ (needs Node; the result is committed, so that nobody else does)
# make trl       an environment with TRL beside ours, for parity and `yearling bench train`

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-all services trl web check style types fast format docs clean

run: $(VENV)/.base
	@exec $(BIN)/yearling serve --pull

test: $(VENV)/.all services
	$(PYTEST) -m "not drill"

test-all: $(VENV)/.all services style types
	$(PYTEST)
	YEARLING_TEST_UNPATCHED=1 $(PYTEST) tests/api tests/store -m "not slow and not drill"

services:
	@./tests/install_postgres.sh
	@./tests/install_chromium.sh

check: $(VENV)/.all
	@$(MAKE) --no-print-directory -j3 style types fast

style: $(VENV)/.all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.all
	$(BIN)/mypy

fast: $(VENV)/.all
	$(PYTEST) -m "not slow and not drill"

trl: .venv-trl/.done

.venv-trl/.done: tests/training/trl_requirements.txt
	@echo "Installing TRL (once, a few minutes) ..." >&2
	@$(PYTHON) -m venv .venv-trl
	@.venv-trl/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

format: $(VENV)/.all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

web:
	@./tests/install_chromium.sh
	cd web && npm run --silent types && npm run --silent lint && npm run --silent test && npm run --silent build

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Yearling needs Python 3.11 or newer: install it, or name one with 'make PYTHON=python3.12 run'." >&2; exit 1; }
	@echo "Setting up (once, a minute or two) ..." >&2
	@$(PYTHON) -m venv $(VENV)

# The stamps make a second start instant; they age when the dependencies change.
$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@test -e $(VENV)/.all && $(MAKE) --no-print-directory $(VENV)/.all || $(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the training, test and database extras (once, a few minutes) ..." >&2
	@$(PIP) install -c constraints.txt -e '.[train,reasoning,exams,inspect,postgres,openvino,ray,dev]'
	@touch $@ $(VENV)/.base

$(VENV)/.docs: $(VENV)/.all
	@$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@
