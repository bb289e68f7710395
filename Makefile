# The commands of this project. `make up` runs the service and `make test` tests it; both first install what is missing.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that runs and is 3.11 to 3.13, because the embedded Redis and TensorFlow have wheels for these. If
# there is none, any newer python3; `make up` then needs a redis-server on the PATH.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; exit; }; done; \
	python3 -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' 2>/dev/null && echo python3)

# The whole suite runs in two to four processes, one for each core, each with its own services, and measures branch
# coverage. The floor is in pyproject.toml. A part of the suite (ARGS) runs in one process and without coverage, whose
# floor it would miss.
PROCESSES = $(shell $(BIN)/python -c "from core.machine import Machine; print(min(4, max(2, Machine.here().processors)))")
WHOLE_SUITE = -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --durations=20 --cov --cov-report=

.PHONY: help up test lint format bench faults fuzz screenshots audit sbom train clean requirements
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(lastword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

# Each list of requirements has a stamp file, so that it is installed again only after the list has changed.
define install
	@test -n "$(PYTHON)" || { echo "Lookbook needs Python 3.11 or newer, preferably 3.11 to 3.13. No such python3, python3.13, python3.12 or python3.11 was found." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "creating .venv with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing requirements/$(1).txt (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(VENV)/.installed-$(1)
endef

$(VENV)/.installed-serve: requirements/serve.txt pyproject.toml
	$(call install,serve)
$(VENV)/.installed-train: requirements/train.txt pyproject.toml
	$(call install,train)
$(VENV)/.installed-test: requirements/test.txt pyproject.toml
	$(call install,test)
$(VENV)/.installed-fuzz: requirements/fuzz.txt
	$(call install,fuzz)

up: $(VENV)/.installed-serve ## install what is missing and run the whole service on this machine
	@exec $(BIN)/lookbook up

# The generators of clients do not share an environment with the service either: they pin older packages.
CLIENTS := .venv-clients
$(CLIENTS)/.installed: requirements/clients.txt
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@echo "installing requirements/clients.txt (once)"
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	@touch $@

test: $(VENV)/.installed-test $(CLIENTS)/.installed ## install what is missing and run every check and test
	@bash tests/ensure_browser.sh $(BIN)/playwright
	@bash tests/ensure_node_packages.sh
	@bash tests/ensure_servers.sh
	@$(BIN)/python -m pytest $(or $(ARGS),$(WHOLE_SUITE))

lint: $(VENV)/.installed-test ## ruff, mypy, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(VENV)/.installed-test ## let ruff format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test ## run the benchmarks
	@$(BIN)/python -m benchmarks $(ARGS)

faults: $(VENV)/.installed-test ## kill and stop processes, cut connections, fill disks, and count what the service loses
	@$(BIN)/python -m tests.faults $(ARGS)

fuzz: $(VENV)/.installed-test $(VENV)/.installed-fuzz ## fuzz each parser for a minute, or some for longer: ARGS="page --seconds 3600"
	@$(BIN)/python -m tests.fuzz $(ARGS)

screenshots: $(VENV)/.installed-test ## take the screenshots of all pages again, or of some: ARGS="photo job"
	@bash tests/ensure_browser.sh $(BIN)/playwright
	@$(BIN)/python -m tests.screenshots $(ARGS)

# The tools of `audit` and `sbom` do not share an environment with the service, whose list of packages they describe.
AUDIT := .venv-audit
$(AUDIT)/.installed: requirements/audit.txt
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

audit: $(AUDIT)/.installed ## compare the pinned packages of the service with the known vulnerabilities (needs the internet)
	@$(AUDIT)/bin/pip-audit --require-hashes --disable-pip --requirement requirements/serve.txt $(ARGS)

sbom: $(AUDIT)/.installed ## write the bill of materials of the service, sbom.json, in the format CycloneDX
	@$(AUDIT)/bin/cyclonedx-py requirements requirements/serve.txt --output-reproducible -o sbom.json
	@echo "sbom.json lists $$(grep -c '"bom-ref"' sbom.json) components"

train: $(VENV)/.installed-train ## train a model: make train DATA=folder [RECIPE=…] [NAME=…]
	@test -n "$(DATA)" || { echo "DATA is missing. Usage: make train DATA=<folder with train/ and validation/>" >&2; exit 2; }
	@$(BIN)/lookbook train --data "$(abspath $(DATA))" $(if $(RECIPE),--recipe "$(RECIPE)") $(if $(NAME),--name "$(NAME)") $(ARGS)

requirements: ## pin requirements/*.in again (needs uv)
	@for f in serve api train test render tracing audit fuzz clients; do uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header requirements/$$f.in -o requirements/$$f.txt; done

clean: ## remove the virtual environment and the caches (never the data)
	@rm -rf $(VENV) $(AUDIT) $(CLIENTS) tests/clients/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
