# `make results/table4.csv` and `make test`: the environment if need be, then the job.
# `make results/table4.csv SCALE=gpu` takes an overlay of workflow/scales, `OBJECTS=real` those of workflow/objects/real.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
$(if $(scale),$(error write it in capitals: SCALE=$(scale)))
SCALED := $(if $(SCALE)$(OBJECTS),--config $(if $(SCALE),"scale=$(SCALE)") $(if $(OBJECTS),"objects=$(OBJECTS)"))
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: all environment test test-all check demo benchmark lock format release
all: $(READY)
	snakemake $(SCALED)

# Tables and figures are Snakemake's; make only hands the name on.
results/%: $(READY) FORCE
	snakemake $@ $(SCALED)
FORCE:

environment: $(READY)
$(READY): envs/requirements.lock pyproject.toml envs/setup.sh
	PYTHON="$(PYTHON)" sh envs/setup.sh $(VENV)
	touch $@

test: $(READY)
	pytest -m "not slow"

test-all: $(READY)
	pytest

check: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	mypy src
	lint-imports

demo: $(READY)
	sh workflow/demo.sh

# One JSON for this class of machine in results/benchmarks, and a table; wants an idle machine and an hour and a half.
benchmark: $(READY)
	python tests/benchmarks/run.py

format: $(READY)
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

# Resolve envs/requirements.in anew; the lock carries hashes and no addresses. The conda environment mirrors it.
lock:
	uv pip compile envs/requirements.in --overrides envs/overrides.txt --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 --python-platform x86_64-manylinux_2_28 -o envs/requirements.lock
	$(PYTHON) envs/mirror.py

# One archive of the last commit with its lock, named by the version; its bytes depend on the commit alone.
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
release:
	@git diff --quiet HEAD || { echo "robust3d: there are changes that are not committed; a release is of a commit" >&2; exit 1; }
	mkdir -p dist
	git archive --format=tar.gz --prefix=robust3d-$(VERSION)/ -o dist/robust3d-$(VERSION).tar.gz HEAD
	sha256sum dist/robust3d-$(VERSION).tar.gz
