# `make help` lists the targets. Everything is set up in .venv from requirements.lock; nothing is done twice.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/ready
DOCKER ?= docker
# Processes that share the tests, file by file; many of them start processes of their own.
WORKERS ?= 2
TARGET ?= cpu
IMAGE ?= hrm-mlops:$(TARGET)
# Such as --network=host, or --build-arg=MAX_JOBS=16.
DOCKER_BUILD_FLAGS ?=
COMPOSE := $(DOCKER) compose --env-file docker/platform.env --file docker/compose.yaml
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Libraries that phone home wait where the network is closed.
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DVC_NO_ANALYTICS := 1
export WANDB_MODE ?= offline
# Processes that share two cores wait for each other's threads.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-services bench image platform-up platform-down lint types lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with pinned versions and `hrm`

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than Python 3.11; give a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Pinned versions go into $(VENV): some minutes without a word."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --requirement requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Raw puzzles to registered models: three small experiments on a laptop
	dvc repro
	@echo
	@hrm scores
	@echo
	@echo "Reports:  runs/*/report.html"
	@echo "Registry: source $(VENV)/bin/activate && mlflow ui --backend-store-uri sqlite:///mlflow.db, then http://127.0.0.1:5000/#/models"

test: $(READY) ## All tests that need nothing but Python
	python -m pytest -n $(WORKERS) --dist loadfile

test-services: $(READY) ## Those that need docker, PostgreSQL and Debian's packages of .ci/services; as root
	python -m pytest -m services

bench: $(READY) ## Measure speed, into docs/benchmarks.md
	python -m benchmarks --write

image: ## Build the container image: TARGET=cpu or TARGET=gpu
	$(DOCKER) build --file docker/Dockerfile --target $(TARGET) --tag $(IMAGE) \
	  --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL \
	  --build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' hrm/__init__.py) \
	  --build-arg COMMIT=$$(git rev-parse HEAD)$$(git status --porcelain -- hrm | sed -n '1s/.*/-dirty/p') \
	  $(DOCKER_BUILD_FLAGS) .

lint: $(READY) ## Style: ruff
	ruff check .
	ruff format --check .

types: $(READY) ## Types: mypy
	mypy

platform-up: docker/platform.env ## Start a team's MLflow with PostgreSQL and S3 in containers
	$(COMPOSE) up --detach --build --wait
	@echo "MLflow: http://127.0.0.1:5000, user admin, password MLFLOW_AUTH_ADMIN_PASSWORD in docker/platform.env"

platform-down: docker/platform.env ## Stop it; its data stay
	$(COMPOSE) down

docker/platform.env:
	@$(PYTHON) docker/platform/new_env.py docker/platform.env.example $@

lock: ## Renew requirements.lock from the ranges in pyproject.toml
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet setuptools uv "torch==2.13.0"
	$(VENV)-lock/bin/uv pip install --quiet --python $(VENV)-lock ".[cluster,dev,platform,wandb]"
	{ echo "# Made by make lock from pyproject.toml."; \
	  $(VENV)-lock/bin/python -m pip freeze --all --exclude pip --exclude uv --exclude hrm-mlops | sed 's/+cpu//'; } > requirements.lock
	rm -rf $(VENV)-lock

clean: ## Remove .venv; artifacts and the registry stay
	rm -rf $(VENV)
