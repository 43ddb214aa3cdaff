# Targets create .venv when it is missing or outdated.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)
WORKERS ?= auto
PYTEST := -m pytest -n $(WORKERS) --dist worksteal
PIP := -m pip install --quiet --disable-pip-version-check
# Installed without what they ask for: torchvision, whose usual build does not fit a CPU build of torch.
COMMUNITY := spandrel einops

.PHONY: train test test-slow test-all lint types check docs wheel release lowest newest tensorboard clean

train: .venv/installed
	$(BIN)/python -m sr.train $(ARGS)

# The fast tests take a few minutes on two cores; test-all also runs the slow ones. WORKERS=0 runs them in one process,
# which a debugger needs.
test: .venv/installed
	$(BIN)/python $(PYTEST) -m "not slow" $(ARGS)

test-slow: .venv/installed
	$(BIN)/python $(PYTEST) -m slow $(ARGS)

test-all: test test-slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

check: lint types test-all

# The documentation, in site/. A broken internal link fails; external links are listed and not fetched.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# Build the package, install it in a new environment, and train from another folder: the configs must be in the package.
wheel:
	rm -rf dist .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	.venv-wheel/bin/python $(PIP) -c constraints.txt torch
	.venv-wheel/bin/python $(PIP) -c constraints.txt dist/*.whl
	cd dist && ../.venv-wheel/bin/python -m sr.train debug=tiny hydra.run.dir=run
	rm -rf dist/run .venv-wheel

# Make a release: VERSION=0.3.0, and ARGS=--dry-run to check only. See CONTRIBUTING.md.
release: .venv/installed
	$(BIN)/python -m scripts.release.release $(VERSION) $(ARGS)

# Test with the lowest versions that pyproject.toml allows, and with the newest available, each in a new environment.
# TORCH defaults to the version in constraints.txt, which has a small CPU build.
lowest:
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m scripts.release.lowest_versions --torch $(TORCH) > .venv-lowest/constraints.txt
	.venv-lowest/bin/python $(PIP) -c .venv-lowest/constraints.txt torch
	.venv-lowest/bin/python $(PIP) -c .venv-lowest/constraints.txt -e ".[dev]"
	.venv-lowest/bin/python $(PIP) -c .venv-lowest/constraints.txt --no-deps $(COMMUNITY)
	.venv-lowest/bin/python $(PYTEST) -m "not slow" $(ARGS)

newest:
	rm -rf .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python $(PIP) torch==$(TORCH)
	.venv-newest/bin/python $(PIP) -e ".[dev]" torch==$(TORCH)
	.venv-newest/bin/python $(PIP) --no-deps $(COMMUNITY)
	.venv-newest/bin/python $(PYTEST) -m "not slow" $(ARGS)

tensorboard: .venv/installed
	$(BIN)/tensorboard --logdir runs

# Discard the stamp if the environment does not work, e.g. because Python was upgraded or the folder was moved.
ifneq ($(shell { $(BIN)/python -c "import sr.train; print('works')"; } 2>/dev/null),works)
$(shell rm -f .venv/installed)
endif

# Updated when the requirements change; created from scratch if the environment is broken or incomplete.
.venv/installed: pyproject.toml constraints.txt
	@$(BIN)/python -c "import pip" 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python $(PIP) -c constraints.txt torch
	$(BIN)/python $(PIP) -c constraints.txt -e ".[dev]"
	$(BIN)/python $(PIP) -c constraints.txt --no-deps $(COMMUNITY)
	@touch $@

clean:
	rm -rf .venv .venv-wheel .venv-lowest .venv-newest build dist site .pytest_cache .mypy_cache .ruff_cache
