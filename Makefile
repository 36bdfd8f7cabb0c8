# `make` alone explains itself. Needs python3.11, make and git; everything else goes into .venv.

PYTHON ?= python3.11
# Chapters that run at a time. The nets are small: two chapters on one thread each finish sooner
# than one chapter on two threads.
JOBS ?= 2
export OMP_NUM_THREADS ?= 1
# One notebook, by the start of its name: make execute CHAPTER=03, or CHAPTER=errata
CHAPTER ?=

BIN := .venv/bin
RUNS_BIN := .venv-runs/bin
INSTALLED := .venv/.installed
RUNS_INSTALLED := .venv-runs/.installed
SITE := _build/html
# For Snakemake, such as RUNS_FLAGS="--cores 2 --config device=cuda" or "--profile book/runs/profiles/slurm"
RUNS_FLAGS ?= --cores $(JOBS)
BUILD := $(BIN)/jupyter-book build book --config _config.yml --path-output .

.DEFAULT_GOAL := help
.PHONY: help book site pdf execute runs verify test bench faults lint unit runs-smoke test-slurm test-gpu nbval strict browser clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: execute site ## set up, execute every chapter afresh, build the site

site: $(INSTALLED) ## build the site from the stored outputs
	$(BUILD) --all --quiet -W -n --keep-going
	@echo "The book is built. Open $(CURDIR)/$(SITE)/index.html in a browser."

# Not a part of `make test`: LaTeX is large and slow.
pdf: $(INSTALLED) ## print the stored outputs, with the solutions at the end (needs LaTeX, see README.md)
	@command -v latexmk >/dev/null && command -v xelatex >/dev/null || { echo "make: there is no LaTeX:" \
	  "install the Debian packages that README.md names under 'Print it'." >&2; exit 1; }
	$(BUILD) --builder latex --all --quiet -n --keep-going
	$(MAKE) -C _build/latex LATEXMKOPTS="-interaction=nonstopmode -silent" all-pdf
	@! grep -E "undefined references|multiply-defined labels" _build/latex/book.log
	@echo "The printed book is $(CURDIR)/_build/latex/book.pdf"

execute: $(INSTALLED) ## refresh the stored outputs in place (CHAPTER=03: of one chapter)
	$(BIN)/python tools/execute.py --jobs $(JOBS) $(CHAPTER)

runs: $(INSTALLED) $(RUNS_INSTALLED) ## do every run of book/runs/sweep.yaml that has no result yet (hours)
	$(BIN)/python book/runs/sweep.py stamp
	$(RUNS_BIN)/snakemake --snakefile book/runs/Snakefile --keep-going --rerun-incomplete \
	  --rerun-triggers mtime --quiet rules $(RUNS_FLAGS)

verify: $(INSTALLED) ## check the hash of every stored result, and work out one of its numbers anew
	$(BIN)/python book/runs/verify.py

test: lint unit runs-smoke nbval strict browser ## set up and run every check, as .ci/run does

bench: $(INSTALLED) ## time everything and save benchmarks/table.json (a quarter of an hour, on an idle machine)
	$(BIN)/python benchmarks/run.py

faults: $(INSTALLED) ## kill toy runs at any moment, resume them, and save benchmarks/faults.json (about twenty minutes)
	$(BIN)/python benchmarks/faults.py

lint: $(INSTALLED) ## check style and format of code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The steps of `make test`, in its order; each can be called alone.
unit: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) --ignore tests/browser --ignore tests/sweep --ignore tests/slurm \
	  --ignore tests/gpu

# The table of runs at toy sizes, through Snakemake and papermill.
runs-smoke: $(INSTALLED) $(RUNS_INSTALLED)
	$(BIN)/python -m pytest tests/sweep

# Not a part of `make test`: installs Debian's Slurm, as root, and sends the toy table through it.
test-slurm: $(INSTALLED) $(RUNS_INSTALLED)
	$(BIN)/python -m pytest tests/slurm

# Not a part of `make test`: needs an NVIDIA GPU, a torch that can use it, and a C compiler.
test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest tests/gpu

# Loadscope keeps the cells of a chapter together, in one kernel.
nbval: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --nbval --nbval-current-env \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300 \
	  book/*.ipynb

# Exactly what a reader's site is, but from nothing, so that no page of an older build remains.
strict: $(INSTALLED)
	rm -rf $(SITE) _build/.doctrees _build/jupyter_execute
	$(BUILD) --all --quiet -W -n --keep-going

browser:
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests/browser

clean: ## delete what was built, checkpoints of runs included; the installed .venv stays
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	find . -name '.venv*' -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -print0 | xargs -0 rm -rf

$(INSTALLED): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on the PATH. Install Python 3.11," \
	  "or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv. The first time takes some minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(RUNS_INSTALLED): requirements-runs.txt
	@test -x $(RUNS_BIN)/python || $(PYTHON) -m venv .venv-runs
	@echo "Installing Snakemake into .venv-runs."
	$(RUNS_BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-runs.txt
	@touch $@
