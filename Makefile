# make run, make test, make help. Needs Python 3.11 with venv; everything else goes into .venv.
.DEFAULT_GOAL := help
.PHONY: help run test lint format types lock bench screenshots servers-up servers-down clean venv venv-dev

BIN := .venv/bin

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv:
	@requirements/install base

venv-dev:
	@requirements/install dev

run: venv ## start everything in one process on SQLite, with demo data, and print where to click
	@exec $(BIN)/python manage.py up

test: venv-dev ## run every test this machine can run (ARGS="-k routing" goes to pytest)
	@tests/run $(ARGS)

lint: venv-dev ## check style, the floors and rooms of the house, scripts and container files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg
	@$(BIN)/python manage.py makemigrations --check --dry-run
	docker/check

format: venv-dev ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: venv-dev ## check types with mypy
	$(BIN)/mypy

lock: venv-dev ## pin and hash requirements/*.in again (UPGRADE=--upgrade takes the newest versions)
	@for name in base dev; do \
		$(BIN)/uv pip compile --quiet $(UPGRADE) --python-version 3.11 --generate-hashes \
			--custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

bench: venv-dev ## measure messages per second on PostgreSQL with durable commits
	@$(BIN)/python -m tests.bench.bench_chat $(ARGS)

screenshots: venv-dev ## take the README's screenshots again (needs Chromium)
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

servers-up: ## start private PostgreSQL, Redis and RabbitMQ and print their addresses
	@tests/servers up

servers-down: ## stop them and delete their data
	@tests/servers down

clean: servers-down ## delete everything made by make, and the local database
	rm -rf .venv var staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
