# Every target works on a machine with Python 3.11 to 3.13 and make alone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test check audit bench profile chaos run

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install
	$(BIN)/python -m tests.fakes

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: install
	$(BIN)/python -m tests.advisories

bench: install
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_marts

profile: install
	$(BIN)/python -m tests.bench_profile

chaos: install
	$(BIN)/python -m tests.chaos --rounds 60 --nights 400
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest --timeout=3600 tests/test_fuzz.py

run: install
	$(BIN)/outreach run
