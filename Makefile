# TAIS: `make demo` for a verdict, `make test` for the tests, `make help` for the rest.
#
# Set-up happens by itself, once per change of pyproject.toml or constraints/, in .venv.
#   PYTHON=python3.12   another interpreter (3.11 or newer)
#   TORCH_INDEX=URL     PyTorch's index of CPU wheels, where pip's own configuration has none

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUICK := not engine and not nightly and not gpu and not browser and not slow
KEY := $(shell cat pyproject.toml constraints/*.txt 2>/dev/null | sha256sum | cut -c1-16)

.PHONY: help demo demo-real fuzz test unit lab engine gpu check lint format bench models constraints clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/ready-cpu-$(KEY)  ## Screen the demo models on a real vLLM; a verdict in minutes
	$(BIN)/tais run manifests/demo.yaml

demo-real: $(VENV)/ready-real-$(KEY)  ## Screen SmolLM2-135M-Instruct; XSTest and AdvBench where TAIS_DATA has them
	$(BIN)/tais model fetch smollm2
	$(BIN)/tais model draft smollm2
	$(BIN)/tais model round smollm2 --bits 8
	$(BIN)/tais model round smollm2 --bits 4
	if $(BIN)/tais plan smollm2-public >/dev/null 2>&1; then name=smollm2-public; else name=smollm2; fi; \
	$(BIN)/tais run $$name

test: $(VENV)/ready-dev-$(KEY)  ## Run all tests, the real engine included
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not engine and not nightly and not gpu"
	$(BIN)/python -m pytest -m "engine and not nightly"

unit: $(VENV)/ready-dev-$(KEY)  ## Run the tests that need no engine
	$(BIN)/python -m pytest -n 2 --dist loadfile --hypothesis-profile=quick -m "$(QUICK)"

lab: $(VENV)/ready-dev-$(KEY)  ## Run the tests of the lab, which need torch
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not engine and not nightly and not gpu" tests/lab

engine: $(VENV)/ready-dev-$(KEY)  ## Run the tests on the real engine
	$(BIN)/python -m pytest -m "engine and not nightly"

# The constraints of .venv are those of a CPU: name a Python into which '.[gpu,dev]' was installed.
GPU_PYTHON ?= python3

gpu:  ## On a machine with a CUDA GPU: its tests, a screen of its settings, speed against bare vLLM
	PYTHONPATH=. $(GPU_PYTHON) tools/gpu/smoke.py

lint: $(VENV)/ready-dev-$(KEY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/ready-dev-$(KEY)  ## Mutate what comes from outside, at length: FUZZ=2000 SEED=1
	TAIS_FUZZ=$(or $(FUZZ),500) TAIS_FUZZ_SEED=$(or $(SEED),0) $(BIN)/python -m pytest -q tests/fuzz

check: lint unit  ## Format, lint, types, unit tests

format: $(VENV)/ready-dev-$(KEY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/ready-dev-$(KEY)  ## Measure TAIS against a bare script and other harnesses, and its parts, on this machine
	$(BIN)/python tools/bench/bench.py
	$(BIN)/python tools/bench/bench_peers.py --peers $(or $(PEERS),$(BIN)/python)
	$(BIN)/python tools/bench/bench_startup.py
	$(BIN)/python tools/bench/bench_verification.py
	$(BIN)/python tools/bench/bench_reference.py

models: $(VENV)/ready-dev-$(KEY)  ## Train the demo models again (about 20 minutes)
	$(BIN)/python tools/demo_models/train_demo_models.py

constraints: $(VENV)/ready-dev-$(KEY)  ## Write down the versions that are installed
	$(BIN)/python -m pip list --format=freeze | grep -viE '^(tais|pip|setuptools|wheel)==' > constraints/cpu.txt

clean:  ## Remove the environment and all caches, keep reports
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(VENV)/ready-cpu-$(KEY):
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/setup.sh cpu
	@touch $@

$(VENV)/ready-real-$(KEY):
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/setup.sh cpu,gguf
	@touch $@ $(VENV)/ready-cpu-$(KEY)

$(VENV)/ready-dev-$(KEY):
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/setup.sh cpu,dev
	@touch $@ $(VENV)/ready-cpu-$(KEY)
