# Each target does its own set-up: a virtual environment in .venv with linkd from this tree and everything that tests and demo need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FLIGHTS := examples/flights

.PHONY: demo test check bench soak clean compiled

demo: compiled $(FLIGHTS)/data/flights.csv.zip
	@$(BIN)/python $(FLIGHTS)/demo.py

# The rewritten tests are kept too, where PYTHONDONTWRITEBYTECODE would have each worker make them anew: half of the time of collecting them.
test: compiled
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadgroup

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check
	$(BIN)/python docs/generate.py --check

bench: compiled $(FLIGHTS)/data/flights.csv.zip
	$(BIN)/python benchmarks/store_append.py --large
	$(BIN)/python benchmarks/first_hour.py --large
	$(BIN)/python benchmarks/artifacts.py --large
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/query.py
	$(BIN)/python benchmarks/postgres_sink.py
	$(BIN)/python benchmarks/file_face.py --large
	$(BIN)/python benchmarks/memo.py --large

# As long as asked: make soak MINUTES=600, or STEPS=10000000 simulated steps. Prints one table of what was tried and what came of it.
soak: compiled
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),60) $(if $(STEPS),--steps $(STEPS))

# What an installation from a wheel has done: without it every process compiles all of linkd where PYTHONDONTWRITEBYTECODE is set.
compiled: $(READY)
	@$(BIN)/python -m compileall -q linkd adapters

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "linkd needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

$(FLIGHTS)/data/flights.csv.zip: $(READY) $(FLIGHTS)/fetch.py
	$(BIN)/python $(FLIGHTS)/fetch.py
	@touch $@

clean:
	rm -rf $(VENV) $(FLIGHTS)/.linkd $(FLIGHTS)/out $(FLIGHTS)/data
