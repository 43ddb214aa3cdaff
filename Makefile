# Two commands do all the set-up: make train, make test.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: train test lint types check wheel tensorboard clean

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

# The built package in an environment of its own, used from another folder: it has to bring its configs along.
wheel:
	rm -rf dist .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd dist && ../.venv-wheel/bin/python -m sr.train debug=tiny hydra.run.dir=run
	rm -rf dist/run .venv-wheel

tensorboard: .venv/installed
	$(BIN)/tensorboard --logdir runs

# A stamp without a working environment behind it (Python upgraded, folder moved) does not count.
ifneq ($(shell { $(BIN)/python -c "import sr.train; print('works')"; } 2>/dev/null),works)
$(shell rm -f .venv/installed)
endif

# Made once; again when the requirements change, and from scratch when the environment is broken or half-made.
.venv/installed: pyproject.toml constraints.txt
	@$(BIN)/python -c "import pip" 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv .venv-wheel build dist .pytest_cache .mypy_cache .ruff_cache
