# The one door: every target makes .venv and installs what it needs, and is quick when it is there.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BROWSER := $(VENV)/.browser
POSTGRESQL := $(VENV)/.postgresql
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-wheel lint docs bench gpu report clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	touch $@

$(BROWSER): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	command -v chromium >/dev/null || test "$$(id -u)" != 0 || { apt-get update -qq && apt-get install -y -qq chromium; }
	touch $@

$(POSTGRESQL): $(READY)
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	  test "$$(id -u)" != 0 || { apt-get update -qq && apt-get install -y -qq postgresql; }
	touch $@

demo: $(READY) ## embed sample videos made on the spot and search them
	$(BIN)/python examples/demo.py

test: $(READY) ## all tests but the long ones (minutes)
	$(PYTEST) -q -n 2 -m 'not long' tests

test-long: $(BROWSER) $(POSTGRESQL) ## the long tests, those of the store on PostgreSQL, and all on the wheel
	$(PYTEST) -q -n 2 -m long tests
	VIDX_TEST_DATABASE=postgresql $(PYTEST) -q -n 2 -m 'not long' tests/store
	$(MAKE) test-wheel

test-wheel: $(READY) ## the tests on the wheel, in an empty environment, outside the checkout
	rm -rf build/wheel build/outside
	$(BIN)/python -m pip wheel --quiet --no-deps -w build/wheel .
	$(PYTHON) -m venv build/outside
	build/outside/bin/python -m pip install --quiet -c constraints.txt "$$(ls build/wheel/vidx-*.whl)[test]"
	set -e; outside=$$(mktemp -d); trap 'rm -rf "$$outside"' EXIT; cp -r tests "$$outside"; \
	  export VIDX_TEST_MEDIA="$${VIDX_TEST_MEDIA:-$(CURDIR)/../shared/media}"; \
	  python="$(CURDIR)/build/outside/bin/python"; cd "$$outside"; \
	  "$$python" -m pytest -q -n 2 -m 'not long' tests

lint: $(READY) ## ruff, ruff format, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY) ## write the generated pages (docs/cli.md) anew
	$(BIN)/python docs/generate.py

bench: $(READY) ## the benchmarks that need no media; results as JSON in benchmarks/results
	$(BIN)/python benchmarks/embed.py
	$(BIN)/python benchmarks/encoder.py --out benchmarks/results/encoder-cpu.json
	$(BIN)/python benchmarks/precision.py --out benchmarks/results/precision-cpu.json
	$(BIN)/python benchmarks/cold_search.py --out benchmarks/results/cold-search.json
	$(BIN)/python benchmarks/builtin.py --out benchmarks/results/builtin-cpu.json
	$(BIN)/python benchmarks/procedural.py --model builtin:tiny --out benchmarks/results/procedural.json
	$(BIN)/python benchmarks/scan.py --out benchmarks/results/scan.json

gpu: $(READY) ## all that a CUDA machine can prove and measure, in eight minutes
	$(BIN)/python benchmarks/gpu.py

report: $(READY) ## draw the results of benchmarks/encoder.py, and write their tables, in docs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/report.py

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
