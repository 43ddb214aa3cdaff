# Two commands do all the set-up: make train, make test.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: train test lint types check tensorboard clean

train: .venv/installed
	$(BIN)/python -m sr.train $(ARGS)

test: .venv/installed
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

check: lint types test

tensorboard: .venv/installed
	$(BIN)/tensorboard --logdir runs

# Made once; again when the requirements change, and from scratch when the environment is broken or half-made.
.venv/installed: pyproject.toml constraints.txt
	@$(BIN)/python -c "import pip" 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
