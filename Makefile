# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check format bench study clean

demo: $(VENV)/.installed
	$(BIN)/dqi demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m pytest tests/bench -o python_files='bench_*.py' -n 0 \
	  --benchmark-only --benchmark-columns=min,median,max,rounds $(ARGS)

# The tables of every study, from a folder with curves.parquet and runs.csv.
study: $(VENV)/.dev
	@test -r '$(DATA)/curves.parquet' && test -r '$(DATA)/runs.csv' || \
	  { echo 'usage: make study DATA=FOLDER, which holds curves.parquet and runs.csv' >&2; exit 2; }
	@mkdir -p build/study
	@for study in studies/*_study.py; do \
	  table=build/study/$$(basename $$study _study.py).md; \
	  echo "$$study > $$table"; \
	  OMP_NUM_THREADS=1 $(BIN)/python $$study '$(DATA)' > $$table || exit 1; \
	done

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m pip install --quiet --group dev
	touch $@
