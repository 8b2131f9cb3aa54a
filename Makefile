.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test test-all lint format report keep restore benchmark benchmark-population benchmark-study tensorboard clean

help: ## list the targets
	@grep -hE '^[a-z_0-9%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-24s %s\n", $$1, $$2}'

setup: .venv/installed ## make the virtual environment in .venv

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "lr-lab needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## train 3 rates x 3 strategies x 3 seeds on embedded digits and report; a minute on 2 cores, no download
	$(BIN)/python -m src.train -m study=demo epochs=12 lr=0.1,0.01,0.001 strategy=epoch,cutoff,oscillate seed=0,1,2
	$(BIN)/python -m src.report study=demo

test: setup ## run the tests, without the slow ones
	$(BIN)/pytest -n auto -m "not slow"

test-all: setup ## run all tests
	$(BIN)/pytest -n auto

lint: setup ## check style, format, types and that packages import in one direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

format: setup ## put code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reproduce-%: setup ## train the study of that name until it is decided, then report; reproduce-decay_mnist BUDGET=6h
	$(BIN)/python -m src.study study=$* $(if $(BUDGET),budget=$(BUDGET))

# Of the targets that would otherwise take some study that nobody named.
NAMED = @test -n "$(STUDY)" || { echo "Name the study: make $@ STUDY=decay_mnist"; exit 2; }

report: setup ## rebuild the report of STUDY and open it: make report STUDY=demo; FEWER=1: though an earlier one has more runs
	$(NAMED)
	$(BIN)/python -m src.report "study=$(STUDY)" $(if $(FEWER),fewer=true)
	$(BIN)/python -m webbrowser -t "file://$(CURDIR)/outputs/reports/$(STUDY)/index.html"

keep: setup ## put what the runs of STUDY left, less checkpoints and logs, beside its report; FEWER=1: though it has more
	$(NAMED)
	@$(BIN)/python -m src.archive keep "$(STUDY)" $(if $(FEWER),--fewer)

restore: setup ## unpack the runs that keep has put beside the report of STUDY: its sweep then trains what is missing
	$(NAMED)
	@$(BIN)/python -m src.archive restore "$(STUDY)"

benchmark: setup ## how fast this is here, against the plain ways; 3 minutes
	$(BIN)/python -m src.benchmark

benchmark-population: setup ## on a GPU: populations against single runs, and how they grow; under 8 minutes
	$(BIN)/python -m src.benchmark_population

benchmark-study: setup ## how often verdicts are false and what they cost, by simulation; an hour
	$(BIN)/python -m src.benchmark_study

tensorboard: setup ## look at the curves of all runs in outputs/, or of one study: make tensorboard STUDY=demo
	$(BIN)/tensorboard --logdir "outputs$(if $(STUDY),/$(STUDY))"

clean: ## remove the virtual environment and caches; data and outputs stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
