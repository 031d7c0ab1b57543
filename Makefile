# One command each, on a fresh machine with Python >= 3.11 and make: run, test, check, bench, faults.
# Every package comes from a lock file with hashes, into .venv in this folder.

PYTHON ?= python3
ARGS ?=
UV_VERSION := 0.13.9

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

# Two targets in two shells share one .venv: whoever comes second waits here. The lock is an open
# file, handed to the children, so it goes when they go, also after kill -9.
LOCKED := $(PYTHON) -c 'import fcntl, subprocess, sys; lock = open("$(VENV)/lock", "w"); \
	fcntl.flock(lock, fcntl.LOCK_EX); \
	sys.exit(subprocess.call(sys.argv[1:], pass_fds=[lock.fileno()]))'

.PHONY: help run test check bench faults lock clean environment environment-dev environment-python supported-python renew

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

run: environment ## Serve on http://127.0.0.1:8000 with its own PostgreSQL (ARGS="--port 8001")
	@exec $(BIN)/clinicway serve $(ARGS)

test: environment-dev ## Run every test (ARGS="-k search")
	@$(BIN)/python -m pytest $(ARGS)

check: environment-dev ## Lint, format, types, layers, drift of the OpenAPI document
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m openapi check

bench: environment-dev ## Measure, and print ratios side by side
	@$(BIN)/python -m tests.bench $(ARGS)

faults: environment-dev ## Kill server, worker and database 300 times under load (half an hour)
	@CLINICWAY_TEST_ROUNDS=$${CLINICWAY_TEST_ROUNDS:-300} $(BIN)/python -m pytest \
		tests/faults/test_referrals_killed.py $(ARGS)

lock: environment-python ## Resolve the dependencies of pyproject.toml anew into both lock files
	@$(PIP) uv==$(UV_VERSION)
	@echo 'setuptools>=80' > $(VENV)/build.in
	@$(COMPILE) $(UPGRADE) -o requirements.lock pyproject.toml $(VENV)/build.in
	@$(COMPILE) $(UPGRADE) -o requirements-dev.lock -c requirements.lock --extra dev \
		pyproject.toml $(VENV)/build.in

clean: ## Remove the environment and every cache; data in .clinicway stays
	rm -rf $(VENV) *.egg-info build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find api db seeds openapi tests -name __pycache__ -type d -prune -exec rm -rf {} +

environment: STAMP := run
environment-dev: STAMP := dev
environment-python: STAMP := python
environment environment-dev environment-python: supported-python
	@mkdir -p $(VENV)
	@$(LOCKED) $(MAKE) --no-print-directory --silent $(VENV)/$(STAMP).stamp

supported-python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Clinicway needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }

# The environment is made anew when its Python is gone or the checkout has moved: the scripts in
# it carry absolute paths.
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/python.stamp 2>/dev/null),$(CURDIR))
$(VENV)/python.stamp: renew
endif

$(VENV)/python.stamp:
	echo "Creating $(VENV)"
	rm -rf $(VENV)/bin $(VENV)/include $(VENV)/lib $(VENV)/lib64 $(VENV)/*.stamp
	$(PYTHON) -m venv $(VENV) || { \
		echo "Python's venv module does not work here. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	echo '$(CURDIR)' > $@

$(VENV)/run.stamp: requirements.lock pyproject.toml $(VENV)/python.stamp
	echo "Installing the locked packages (first run only)"
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	echo "Installing the locked packages for tests and checks (first run only)"
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@
