# make demo | test | bench | clean. Each target builds its own environment in .venv; nothing else has to be installed.

SHELL := /bin/sh
# Compiled Python must be kept, or every one of the many processes of a test run compiles its imports again.
unexport PYTHONDONTWRITEBYTECODE
# The locks are tested on Python 3.11; a newer python3 is used where that is missing.
PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# Python compiles what it imports at the first import; compiling everything would double the time of an install.
INSTALL := $(PIP) install --no-compile
RUNS := runs
DEMO := sim-miso-ee/fig8

.DELETE_ON_ERROR:
.PHONY: demo test lint bench clean help

help:
	@echo "make demo   build the environment and how many layers? Figure 8 of the second paper at quick size (minutes)"
	@echo "make test   lint, types, import rules and all tests"
	@echo "make bench  benchmarks, each as a ratio measured in one run"
	@echo "make clean  remove the environment, caches and runs"

demo: $(VENV)/runtime.stamp
	$(BIN)/metamimo reproduce $(DEMO) --quick --out $(RUNS)
	@echo "Figure: $(RUNS)/$(DEMO)/figure.png  Curves: $(RUNS)/$(DEMO)/curves.csv  Claims: $(RUNS)/$(DEMO)/claims.json"

# Pyright runs on the node of the lock, not on whatever the machine has.
lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	PYRIGHT_PYTHON_GLOBAL_NODE=0 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

# tests/conftest.py gives all workers one JAX compilation cache.
test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

# One thread for every library, so that a ratio compares algorithms and not thread counts.
bench: $(VENV)/dev.stamp
	JAX_ENABLE_X64=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 \
	XLA_FLAGS="$${XLA_FLAGS:---xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false --xla_cpu_enable_concurrency_optimized_scheduler=false}" \
	$(BIN)/python -m pytest benchmarks -p no:xdist -s

clean:
	rm -rf $(VENV) $(RUNS) .pytest_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A changed lock makes a new environment, so that no package of the old one stays behind.
$(VENV)/created.stamp: requirements.lock requirements-dev.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "metamimo needs Python 3.11 or newer; set it with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	rm -rf $(VENV)
	@# Debian ships venv's pip in a package of its own; an installed pip can stand in for it.
	@"$(PYTHON)" -m venv $(VENV) >/dev/null 2>&1 || { \
		rm -rf $(VENV) && "$(PYTHON)" -m venv --without-pip $(VENV) && \
		"$(PYTHON)" -m pip --disable-pip-version-check -q --python $(VENV) install pip; } || { \
		rm -rf $(VENV); \
		echo "This Python has neither ensurepip nor pip. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/runtime.stamp: $(VENV)/created.stamp pyproject.toml
	$(INSTALL) -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	$(INSTALL) -r requirements-dev.lock
	@touch $@
