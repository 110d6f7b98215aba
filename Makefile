# Two commands matter: `make run` (a whole network here, with real calls) and `make test` (everything).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOAK_SECONDS ?= 600
SEED   ?= 1

.PHONY: run test bench soak lint clean

run: $(VENV)/.run
	$(BIN)/halloo demo

test: lint
	$(BIN)/python -m pytest -n 2 -m "not processes"
	$(BIN)/python -m pytest -m processes

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests bench fuzz
	$(BIN)/mypy

bench: $(VENV)/.dev
	for bench in bench/[!_]*.py; do $(BIN)/python -m bench.$$(basename $$bench .py) || exit 1; done

soak: $(VENV)/.dev
	for fuzz in fuzz/[!_]*.py; do \
	  $(BIN)/python -m fuzz.$$(basename $$fuzz .py) --seconds $(SOAK_SECONDS) --seed $(SEED) || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis halloo-demo

# What a run needs, and nothing else.  uv installs in a second what pip takes ten for; where it does not work, pip does.
# The speech quality measure PESQ is C source: where it cannot be built, STOI takes its place in the report.
$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	tools/install $(BIN) '.[classic,quality]' || tools/install $(BIN) '.[classic,intelligibility]'
	$(BIN)/python -m compileall -q src $(VENV)/lib || true
	touch $@

$(VENV)/.dev: $(VENV)/.run
	tools/install $(BIN) '.[dev]'
	touch $@
