# Needs Python 3.11 or newer and make; everything else comes into .venv.
PYTHON ?= python3
BIN := .venv/bin

# `make test` compiles while it lints.
MAKEFLAGS += --jobs=2

.PHONY: demo monitor dashboards test lint compiled install clean

demo: .venv/installed
	$(BIN)/pymacaron demo

# Debian's Prometheus and Alertmanager watch the demo: apt-get install prometheus prometheus-alertmanager
monitor: .venv/installed
	$(BIN)/python monitoring/stack/local_stack.py

# Writes dashboards/ again, from the service that `pymacaron new shop` writes.
dashboards: .venv/installed
	$(BIN)/pytest -q tests/pymacaron_monitoring/test_dashboards.py -k up_to_date --rewrite-golden

test: lint compiled
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests monitoring/stack
	$(BIN)/lint-imports

# Where PYTHONDONTWRITEBYTECODE is set, each of the hundreds of processes that tests start would compile all this again:
# the packages, and what pytest makes of tests and of its plugins. A module that cannot be read is the tests' finding.
compiled: .venv/installed
	$(BIN)/python -m compileall -q -x templates/service pymacaron pymacaron_testing monitoring/pymacaron_monitoring
	-env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -qq --collect-only >/dev/null

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pymacaron needs Python 3.11 or newer. Run: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q -e '.[all]' --group dev
	touch $@

clean:
	rm -rf .venv dist .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
