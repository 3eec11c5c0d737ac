# Needs Python 3.11 or newer and make; everything else comes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint install clean

demo: .venv/installed
	$(BIN)/pymacaron demo

test: lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 2 --dist loadfile
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pymacaron needs Python 3.11 or newer. Run: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q -e '.[all]' --group dev
	touch $@

clean:
	rm -rf .venv dist .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
