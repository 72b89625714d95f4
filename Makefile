# The commands of this project. `make help` lists them.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Files of these tiers share nothing, and most of their time is spent waiting for servers.
PARALLEL := --numprocesses 3 --dist loadfile
SOURCES := operator proxy policy cli hack tests
# Without it every process of the tests compiles every file again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test check bench format lock unit contract integration controlplane e2e

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "installing the locked requirements into $(VENV)"
	@hack/environment $(VENV)
	@touch $@

demo: $(STAMP) ## a real cluster, the operator, a proxy, and a go client served by it
	@$(PY) hack/demo up

demo-down: $(STAMP) ## undo the demo and the local cluster it started
	@$(PY) hack/demo down

test: ## everything: checks and all five tiers; installs what it needs
	@hack/tiers

check: $(STAMP) ## format, lint, types, import contracts, sizes, charts and CRDs
	@hack/check

unit: $(STAMP) ## one tier of the tests
	@$(PY) -m pytest -q --numprocesses 2 --dist loadfile tests/$@

integration: IN_SCRATCH := hack/scratch
contract integration: $(STAMP) ## one tier of the tests; installs the servers it needs
	@hack/servers $@
	@$(IN_SCRATCH) $(PY) -m pytest -q $(PARALLEL) tests/$@

# The control planes are written in Go and collect their garbage less often: a tenth of what they cost.
controlplane: $(STAMP) ## one tier of the tests, on two control planes
	@hack/servers $@
	@GOGC=400 $(PY) -m pytest -q --numprocesses 2 --dist loadfile tests/$@

e2e: $(STAMP) ## one tier of the tests, all of it on one cluster
	@hack/servers $@
	@$(PY) -m pytest -q -m alone tests/$@; alone=$$?; \
	$(PY) -m pytest -q -m 'not alone' --numprocesses 2 --dist loadfile tests/$@ && exit $$alone

bench: $(STAMP) ## measure against the peers in the same run
	@$(PY) hack/bench $(SCENARIO)

format: $(STAMP) ## format and fix what can be fixed
	@$(VENV)/bin/ruff format $(SOURCES)
	@$(VENV)/bin/ruff check --fix $(SOURCES)

lock: $(STAMP) ## resolve the requirements again
	@hack/lock
