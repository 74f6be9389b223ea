# Everything a developer does, one word each. `make` or `make help` lists them.
# Needs make, git and Python 3.11 or newer; `up` and `down` also need Docker.

BIN := .venv/bin
MEMBERS := pyproject.toml uv.lock proto/pyproject.toml dev/pyproject.toml $(wildcard services/*/pyproject.toml clients/*/pyproject.toml)
CODE := dev services clients tests proto/generate.py bench
# One worker a core; tests of one file stay together, because they share the servers that the file starts.
WORKERS ?= auto
# gRPC's C library prints what every lost connection looks like from inside; tests lose many on purpose.
export GRPC_VERBOSITY ?= ERROR

.DEFAULT_GOAL := help
.PHONY: help setup run test check lint types format proto up down bench soak screenshot clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/ready ## Create .venv with all packages (every other target does so by itself)

.venv/ready: dev/setup $(MEMBERS)
	@./dev/setup

run: .venv/ready ## Run everything here, without Docker: Redis, session-svc, stream-gateway, assistant (ASSISTANT=off: none)
	@exec $(BIN)/python -m aichat_dev.run

test: .venv/ready ## Run all tests; ARGS="-k name" chooses some
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types test ## Run all that a change must pass

lint: .venv/ready ## Check style, imports between parts, and the API's compatibility
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/oxlint --quiet
	@$(BIN)/lint-imports
	@cd proto && ../$(BIN)/buf lint
	@cd proto && ../$(BIN)/buf format --diff --exit-code
	@cd proto && ../$(BIN)/buf breaking --against released.binpb

types: .venv/ready ## Check types, strictly
	@$(BIN)/mypy $(CODE)

format: .venv/ready ## Format the code and the .proto files, and fix what can be fixed
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .
	@cd proto && ../$(BIN)/buf format --write

proto: .venv/ready ## Generate proto/gen from the .proto files
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python proto/generate.py

up: .venv/ready ## Start everything in Docker (ASSISTANT=off: no assistant), and wait until it is ready
	@$(if $(filter off,$(ASSISTANT)),ASSISTANT_REPLICAS=0) docker compose up --build --detach --wait
	@address=$$(docker compose port session-svc 50051 2>/dev/null) || exit 0; \
	[ "$$address" = 127.0.0.1:50051 ] || server="--server $$address "; \
	printf '\n  page  http://%s/\n  chat  %s/ai-chat %s--session my-project\n' \
	    "$$(docker compose port stream-gateway 3000)" $(BIN) "$$server"

down: ## Stop what `make up` started; the data stays
	@docker compose down

bench: .venv/ready ## Measure, each figure as a ratio within one run
	@$(BIN)/python -m bench

soak: .venv/ready ## Load and kill everything for 10 minutes, then count; ARGS="--seconds 60 --viewers 100" changes that
	@PYTHONPATH=tests $(BIN)/python -m bench.soak $(ARGS)

screenshot: .venv/ready ## Take the README's screenshots from a real run
	@$(BIN)/python -m aichat_dev.screenshot

clean: ## Remove .venv and every cache; the data in .data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
