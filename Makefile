# All commands do their own set-up: a virtual environment in .venv, the install,
# then the work. They need Python >= 3.11 with its venv module, pip and make.
#
#   make demo    pre-train an encoder on bundled images, compare, export: runs/quickstart
#   make test    the whole test suite
#   make docs    the documentation: site/index.html
#   make format  ruff, with fixes

PYTHON ?= python3
ROOT := $(dir $(lastword $(MAKEFILE_LIST)))
ENV := .venv
RUN := $(ENV)/bin/python

.PHONY: help demo test docs format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   - set up .venv, then pre-train an encoder on bundled images (about 6 minutes)"
	@echo "make test   - set up .venv, then run the whole test suite (under 15 minutes)"
	@echo "make docs   - set up .venv, then build the documentation into site/"
	@echo "make format - format and lint with ruff"
	@echo "make clean  - remove .venv and build products; runs/ stays"

demo:
	@cd "$(ROOT)." && $(MAKE) --no-print-directory $(ENV)/.installed-plots
	@cd "$(ROOT)." && echo "demo: pre-training on the bundled Fashion-MNIST sample; results go to runs/" \
		&& $(RUN) examples/quickstart.py

test:
	@cd "$(ROOT)." && $(MAKE) --no-print-directory $(ENV)/.installed-test
	@cd "$(ROOT)." && echo "test: running the whole suite" && $(RUN) -m pytest

docs:
	@cd "$(ROOT)." && $(MAKE) --no-print-directory $(ENV)/.installed-docs
	@cd "$(ROOT)." && $(RUN) docs/figures.py && NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

format:
	@cd "$(ROOT)." && $(MAKE) --no-print-directory $(ENV)/.installed-test
	@cd "$(ROOT)." && $(RUN) -m ruff check --fix . && $(RUN) -m ruff format .

# One stamp for each set of extras: the second call takes no time.
$(ENV)/.installed-%: setup.cfg pyproject.toml | $(ENV)/bin/python
	@echo "setup: installing keras_contrastive[$*] into $(ENV) (minutes, once)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	@touch "$@"

$(ENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "setup: Python >= 3.11 is needed; received `$(PYTHON) --version 2>&1`. Try make PYTHON=python3.11"; exit 1; }
	@echo "setup: creating a virtual environment in $(ENV)"
	@$(PYTHON) -m venv $(ENV) || \
		{ rm -rf $(ENV); echo "setup: the venv module is missing; install python3-venv"; exit 1; }

clean:
	@cd "$(ROOT)." && rm -rf $(ENV) build dist site *.egg-info
