# Two commands matter: `make run` (a whole network here, with real calls) and `make test` (everything that is checked).
# Both make their own environment; nothing else is needed than Python 3.11 and pip.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOAK_SECONDS ?= 3600
SEED   ?= 1
# What cannot share the machine with other tests: real processes, namespaces, clocks.  Of the processes some look at no
# clock: two tests of these run beside each other.
ALONE  := processes or lab or timing

.PHONY: run test bench outside soak lint venv clean

run: $(VENV)/.run
	@exec $(BIN)/halloo demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not ($(ALONE))" </dev/null
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "beside" </dev/null
	$(BIN)/python -m pytest -m "($(ALONE)) and not long and not beside" </dev/null

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests bench fuzz tools
	$(BIN)/mypy

bench: $(VENV)/.dev
	@set -e; for name in bench/[!_]*.py; do $(BIN)/python -m bench.$$(basename $$name .py); done

outside: $(VENV)/.dev
	$(BIN)/python -m pytest -m long tests/outside </dev/null

soak: $(VENV)/.dev
	$(BIN)/python -m fuzz --seconds $(SOAK_SECONDS) --seed $(SEED)
	$(BIN)/python -m bench.overlay --nodes 2000 --storms --crowd 0 --seed $(SEED)
	$(BIN)/python -m bench.crowd --compare 20000 --seed $(SEED)
	$(BIN)/python -m pytest -n 2 --dist worksteal --whole -m "slow and not ($(ALONE))" </dev/null

venv: $(VENV)/.dev

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis halloo-demo

$(VENV)/.run: pyproject.toml tools/install
	tools/install $(PYTHON) $(VENV) run
	touch $@

$(VENV)/.dev: $(VENV)/.run
	tools/install $(PYTHON) $(VENV) dev
	touch $@
