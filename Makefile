# `make demo` and `make test` set up by themselves: a virtual environment in .venv, nothing outside the folder.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench format generated clean

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing dependencies (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,conformance]"
	@touch $(READY)

demo: $(READY)  ## run the whole line against the sandbox
	@$(BIN)/tundish demo

test: $(READY)  ## the tests, offline
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## lint, types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m jobs.generate --check

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generated: $(READY)  ## write the JSON Schemas, docs/connectors.md and docs/rules.md anew
	$(BIN)/python -m jobs.generate

bench: $(READY)  ## speed against peers (they install into an environment of their own)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .venv-bench .tundish .mypy_cache .ruff_cache
