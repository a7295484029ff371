# The two commands that do everything on a fresh machine: `make demo` and `make test`.
# Needs python3 (3.11 or newer) with its venv module, and the network once, to install.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Another interpreter: make install PYTHON=python3.12
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help install demo check format test test-slow bench compare lock clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with exactly the versions of requirements.txt

# What the commands import, imported once: Python then keeps it compiled. Where PYTHONDONTWRITEBYTECODE is set it never
# would, and each start of nmt would take three times as long (3.7 instead of 1.2 s of nmt translate, measured).
IMPORTS := import datasets, orbax.checkpoint, sacrebleu, scipy.linalg, jax.export, nmt_cli.commands.prepare, nmt_cli.commands.train, \
	nmt_cli.commands.translate, nmt_cli.commands.eval, nmt_cli.commands.info, nmt_cli.commands.visualize

# --no-deps: the lock is complete, and pip need not work that out again. --no-compile: half the time; Python compiles
# what is imported. -qq: errors only.
$(INSTALLED): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no python3 of version 3.11 or newer with the venv module on PATH" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making $(VENV) with $$($(PYTHON) --version)" >&2; $(PYTHON) -m venv $(VENV); }
	@echo "installing the versions of requirements.txt into $(VENV)" >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --no-compile \
		-r requirements.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c '$(IMPORTS)'
	@touch $@

demo: $(INSTALLED) ## Prepare, train, translate and score a small corpus, offline
	@$(BIN)/nmt demo

check: $(INSTALLED) ## Lint, formatting, types, the lock, and known vulnerabilities in it
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/python -m pip --disable-pip-version-check check
	@$(BIN)/python -m pytest --quiet tests/test_packaging.py
	@$(BIN)/python .ci/audit.py

format: $(INSTALLED) ## Let ruff format the code and mend what it safely can
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

# Most of their time is compiling: without optimisation they take half as long. test-slow has all of it.
test: $(INSTALLED) ## The quick tests, on two processes
	@XLA_FLAGS="--xla_backend_optimization_level=0 $$XLA_FLAGS" $(BIN)/python -m pytest --quiet -n 2 --dist worksteal -m "not slow"

test-slow: $(INSTALLED) ## The tests that take minutes and all of the fault table; prints its tally and the figures
	@$(BIN)/python -m pytest --quiet -n 2 --dist worksteal -m "slow or fault"

bench: $(INSTALLED) ## Measure speed: every program of tests/benchmarks
	@for program in tests/benchmarks/*.py; do echo "$$program"; PYTHONPATH=. $(BIN)/python $$program || exit 1; done

# The text of Multi30k (train.de, val.de, test_2016_flickr.de, ... and the same in fr and en), and more options of the script.
MULTI30K ?= multi30k
COMPARE ?= --updates 2000
compare: $(INSTALLED) ## Train the recipes of all papers on MULTI30K, a folder of text: hours; writes recipes/README.md
	@for side in de fr; do \
		test -d runs/data-$$side || $(BIN)/nmt prepare runs/data-$$side --recipe rnmt \
			--source $(MULTI30K)/train.$$side --target $(MULTI30K)/train.en \
			--valid-source $(MULTI30K)/val.$$side --valid-target $(MULTI30K)/val.en || exit; done
	@$(BIN)/python recipes/compare.py train $(COMPARE) $(foreach side,de fr,--pair $(side)-en runs/data-$(side) \
		$(MULTI30K)/test_2016_flickr.$(side) $(MULTI30K)/test_2016_flickr.en)

lock: $(INSTALLED) ## Make requirements.txt anew: the newest versions pyproject.toml allows
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --upgrade pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.txt

clean: ## Remove what can be made again, .venv too
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
