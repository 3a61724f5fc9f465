# make demo: set up, run the pipeline on drawn stand-ins, say what came out and what to do next.
# make test: set up, run the whole test suite.   make test-fast: its fast part.   make lint: ruff and mypy.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-fast lint setup clean

demo: $(READY)
	PATH="$(BIN):$$PATH" pocan check
	PATH="$(BIN):$$PATH" dvc repro
	@echo
	@PATH="$(BIN):$$PATH" pocan summary
	@echo
	@echo "tables:  reports/tables.md        figures: reports/figures/"
	@echo "page:    reports/index.html       (open it in a browser; it needs no network)"
	@echo
	@echo "Next, after: source $(VENV)/bin/activate"
	@echo "  git add dvc.lock reports && git commit -m 'My first run'    # these results are now what you compare with"
	@echo "  dvc exp run -S adapt.tau=0.6 && pocan compare               # an experiment, beside them"
	@echo "  git restore . && dvc checkout                               # back to them, models included"

# One thread each, as most tests are too small for two. Three files at a time on two cores: some tests wait for servers, queues,
# timeouts and processes that are to end, and a third file then has their core. A file's tests share what they set up.
test: $(READY)
	PATH="$(BIN):$$PATH" OMP_NUM_THREADS=1 python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-fast: $(READY)
	PATH="$(BIN):$$PATH" OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile -m "not slow and not server and not browser and not gpu"

lint: $(READY)
	PATH="$(BIN):$$PATH" ruff check .
	PATH="$(BIN):$$PATH" ruff format --check .
	PATH="$(BIN):$$PATH" mypy

setup: $(READY)

# The versions are those of constraints.txt; where they come from is up to pip's own configuration.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "This Python cannot make virtual environments; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # by all cores, as pip does not; some files are no Python
	@touch $@

clean:
	rm -rf $(VENV)
