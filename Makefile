# make run    set up on first use, then serve the assistant on 127.0.0.1:8400
# make test   set up on first use, then run every test (the real model and Postgres included)
# make trl    an environment with TRL beside ours, for parity and `yearling bench train`
# make web    build the page from web/ (needs Node; the result is committed, so that nobody else does)
# make check  format, lint, types, architecture and the fast tests

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FAST   := $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test trl web check style types fast format docs clean

run: $(VENV)/.base
	@exec $(BIN)/yearling serve --pull

test: $(VENV)/.all
	@./tests/install_postgres.sh
	@./tests/install_chromium.sh
	$(FAST)
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.all
	@$(MAKE) --no-print-directory -j3 style types fast

style: $(VENV)/.all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.all
	$(BIN)/mypy

fast: $(VENV)/.all
	$(FAST)

trl: .venv-trl/.done

.venv-trl/.done: tests/training/trl_requirements.txt
	@echo "Installing TRL (once, a few minutes) ..." >&2
	@$(PYTHON) -m venv .venv-trl
	@.venv-trl/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

format: $(VENV)/.all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.all
	$(BIN)/python docs/generate.py

web:
	@./tests/install_chromium.sh
	cd web && npm run --silent types && npm run --silent lint && npm run --silent test && npm run --silent build

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

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
	@$(PIP) install -c constraints.txt -e '.[train,reasoning,exams,inspect,postgres,openvino,dev]'
	@touch $@ $(VENV)/.base
