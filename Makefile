# Two commands: `make run` shows the whole platform on sample data, `make test` checks everything.
#   make run ARGS="--no-samples"     arguments for `mailgov demo`
#   make torture                  every fault of tests/torture in its long form: about an hour
#   make install                     only the virtual environment
#   make test-wheel                  the same tests on the wheel, without the source
#   make lock                        renew requirements/ from pyproject.toml

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
PYTEST_ARGS ?=
# Modules stay together: what they start is started once. One more than cores: many tests wait for programs.
WORKERS := $(shell echo $$(($$(nproc) + 1)))
ON_ALL_CORES := --numprocesses $(WORKERS) --dist loadscope --quiet

.PHONY: run test torture test-wheel install install-all check lock packages screenshots clean

run: $(VENV)/installed
	@$(BIN)/mailgov demo $(ARGS)

test: packages $(VENV)/installed-all check
	$(BIN)/python -m pytest $(ON_ALL_CORES) $(PYTEST_ARGS)

# As root it also fills small disks and copies one under load.
torture: packages $(VENV)/installed-all
	$(BIN)/python -m tests.torture $(ARGS)

test-wheel: packages $(VENV)/installed-all
	tools/test-wheel $(BIN)/python $(ON_ALL_CORES) $(PYTEST_ARGS)

check: $(VENV)/installed-all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/installed
install-all: $(VENV)/installed-all

# Debian's packages that some tests need; left out without a word of power (root or sudo).
packages:
	@tools/test-packages

$(BIN)/python:
	@tools/make-venv "$(PYTHON)" $(VENV)

$(VENV)/installed: $(BIN)/python requirements/run.txt pyproject.toml
	@echo 'installing into $(VENV) from requirements/run.txt …' >&2
	@$(PIP) --require-hashes -r requirements/run.txt >&2
	@$(PIP) --no-deps --no-build-isolation --editable . >&2
	@touch $@

$(VENV)/installed-all: $(BIN)/python requirements/all.txt pyproject.toml
	@echo 'installing into $(VENV) from requirements/all.txt …' >&2
	@$(PIP) --require-hashes -r requirements/all.txt >&2
	@$(PIP) --no-deps --no-build-isolation --editable . >&2
	@touch $@ $(VENV)/installed

lock: $(VENV)/installed-all
	tools/lock $(BIN)/uv

screenshots: $(VENV)/installed-all
	$(BIN)/python tools/screenshots.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
