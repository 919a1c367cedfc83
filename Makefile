# TomoRay: `make demo` runs the main job on a real CT, `make test` the tests; both set up their own .venv first.
#
#   PYTHON=python3.12   the Python to build the environment with (3.10-3.13)
#   VENV=path           an existing environment to use instead; a torch that is already there is left alone
#   TORCH_CPU_INDEX=URL where the CPU build of torch comes from when the configured package indexes lack it
#   ARGS="..."          more arguments for pytest (make test ARGS="-k geometry -n 0"), demonstration or benchmark

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

SETUP = PYTHON="$(PYTHON)" VENV="$(VENV)" $(if $(TORCH_CPU_INDEX),TORCH_CPU_INDEX="$(TORCH_CPU_INDEX)") bash tools/setup
BIN = "$(VENV)/bin"
# One process for each core, up to four (1 to 2 GB each); each runs whole files, so that a file's fixtures are made once.
PYTEST = $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# The oldest versions have an environment of their own. The short part touches every package that has an oldest version.
OLDEST = $(if $(filter .venv,$(VENV)),.venv-oldest,$(VENV))
PYTEST_OLDEST = "$(OLDEST)/bin"/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
OLDEST_SHORT = $(addprefix Testing/Python/, cli/test_options.py cli/test_commands.py images/test_files.py \
	images/test_surfaces.py images/dicom/test_pixels.py images/dicom/test_stack_files.py \
	images/dicom/test_written_segmentation.py images/pictures/test_flat_image.py networks/test_weight_files.py \
	networks/test_geolift.py projector/test_numba_kernel.py metrics/test_scores.py \
	evaluation/test_prediction_files.py report/test_cohort_explorer.py training/engine/test_snapshots.py \
	jobs/test_demonstration.py)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow test-all test-oldest test-oldest-short release screenshots bench bench-projector faults docs lint format types setup setup-demo clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: setup-demo ## set up, then two radiographs -> synthetic CT on a real CT; results in output/demo
	@$(BIN)/tomoray demo --out output/demo $(ARGS)

test: setup ## set up, then run the tests
	@$(PYTEST) -m "not slow" $(ARGS)

test-slow: setup ## run the tests that take more than ten seconds each
	@$(PYTEST) -m slow $(ARGS) || { code=$$?; [ $$code -eq 5 ] && echo "There are no slow tests."; }

test-all: setup ## run all tests, those that take long first
	@$(PYTEST) $(ARGS)

test-oldest: setup-oldest ## run the tests under the oldest versions that pyproject.toml allows (.venv-oldest)
	@$(PYTEST_OLDEST) -m "not slow" $(ARGS)

test-oldest-short: setup-oldest ## a minute of them, which touches each of these packages
	@$(PYTEST_OLDEST) -m "not slow" $(ARGS) $(OLDEST_SHORT)

screenshots: setup ## draw the pictures of the documentation anew (Resources/Screenshots); looks at the real sample
	@TOMORAY_SCREENSHOTS=Resources/Screenshots $(BIN)/python -m pytest -m "slow or not slow" \
		-k "screenshots_of_the_documentation or the_placing_step"
	@bash tools/pictures $(addprefix Resources/Screenshots/, panel.png compare.png inputs.png placing.png)

faults: setup ## kills, full disks, hostile files, marked patients: output/faults (ARGS=--short: the short part)
	@$(BIN)/python Testing/Faults/run.py $(ARGS)

bench: setup ## compare times and memory with the build of before (docs/performance.md); needs an idle machine
	@$(BIN)/python Testing/Benchmarks/performance.py $(ARGS)

bench-projector: setup ## compare the projector with its peers: output/bench-projector; needs an idle machine
	@$(BIN)/python Testing/Benchmarks/projector.py --out output/bench-projector $(ARGS)

release: setup ## wheel, archives, bill of materials, checksums: built twice, compared, in output/release; publishes nothing
	@$(BIN)/python tools/release --python $(BIN)/python $(ARGS)

docs: ## set up, then build the documentation as a site in output/site; a warning is an error
	@$(SETUP) docs
	@$(BIN)/python -m sphinx -b html -W --keep-going -q -d output/site-cache docs output/site
	@echo "The site is in output/site/index.html."

lint: setup ## check style (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## apply the style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## check types (mypy)
	@$(BIN)/python -m mypy

setup: ## make or update .venv with everything for development
	@$(SETUP) dev

setup-demo:
	@$(SETUP) demo

setup-oldest:
	@PYTHON="$(PYTHON)" VENV="$(OLDEST)" $(if $(TORCH_CPU_INDEX),TORCH_CPU_INDEX="$(TORCH_CPU_INDEX)") bash tools/setup oldest

clean: ## delete .venv, results and caches
	rm -rf .venv .venv-oldest .venv-release output .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find TomoRayLib Testing -name __pycache__ -type d -prune -exec rm -rf {} +
