.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test test-all lint format reproduce-decay_mnist reproduce-decay_cifar10 reproduce-descent_line reproduce-fixed_mnist report benchmark benchmark-population tensorboard clean

help: ## list the targets
	@grep -hE '^[a-z_0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-24s %s\n", $$1, $$2}'

setup: .venv/installed ## make the virtual environment in .venv

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "lr-lab needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## train 3 rates x 3 strategies on embedded digits; minutes on 2 cores, no download
	$(BIN)/python -m src.train -m study=demo lr=0.1,0.01,0.001 strategy=epoch,cutoff,oscillate

test: setup ## run the tests, without the slow ones
	$(BIN)/pytest -n auto -m "not slow"

test-all: setup ## run all tests
	$(BIN)/pytest -n auto

lint: setup ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## put code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Seeds of a study's runs. A sweep that is started again trains only what is missing.
SEEDS ?= 0,1,2

define reproduce_decay
$(BIN)/python -m src.train -m experiment=$(1) 'seed=$(SEEDS)' \
	sequence=inverse,inverse_sqrt,exponential,cyclic strategy=epoch,cutoff,oscillate
$(BIN)/python -m src.train -m experiment=$(1) 'seed=$(SEEDS)' sequence=constant lr=0.001
$(BIN)/python -m src.train -m experiment=$(1) 'seed=$(SEEDS)' sequence=constant lr=0.001 optimizer=adam
$(BIN)/python -m src.report study=$(1)
endef

reproduce-decay_mnist: setup ## train the 14 settings of document 004 on MNIST and report; SEEDS=0,1,2
	$(call reproduce_decay,decay_mnist)

reproduce-decay_cifar10: setup ## the same on CIFAR-10; hours on 2 cores, goes on where it stopped
	$(call reproduce_decay,decay_cifar10)

reproduce-descent_line: setup ## gradient descent on a line (document 003) and report; no download, a minute
	$(BIN)/python -m src.train -m experiment=descent_line seed=0,1,2,3,4,5 lr=0.1,0.7,0.75,0.97,1.01
	$(BIN)/python -m src.train -m experiment=descent_line seed=0,1,2,3,4,5 lr=0.7 data.noise=gaussian
	$(BIN)/python -m src.report study=descent_line

FIXED_MNIST := $(BIN)/python -m src.train -m experiment=fixed_mnist
EVERY_STEP := strategy=step lr=0.1

reproduce-fixed_mnist: setup ## fixed rates, schedules and a look at optimizers on MNIST (document 002); an hour on 2 cores
	$(FIXED_MNIST) 'seed=$(SEEDS)' lr=0.3,0.1,0.01,0.001,0.0001,0.00001
	$(FIXED_MNIST) 'seed=$(SEEDS)' $(EVERY_STEP) sequence=cosine
	$(FIXED_MNIST) 'seed=$(SEEDS)' $(EVERY_STEP) warmup=linear warmup.length=938
	$(FIXED_MNIST) 'seed=$(SEEDS)' $(EVERY_STEP) sequence=triangular sequence.half_cycle=1876
	$(FIXED_MNIST) seed=0 optimizer=adam,momentum lr=0.1,0.01,0.001,0.0001,0.00001
	$(FIXED_MNIST) seed=0 optimizer=adam data=digits lr=0.1,0.01,0.001,0.0001,0.00001
	$(BIN)/python -m src.report study=fixed_mnist

STUDY ?= decay_mnist

report: setup ## rebuild the report of STUDY (STUDY=decay_mnist) and open it
	$(BIN)/python -m src.report study=$(STUDY)
	$(BIN)/python -m webbrowser -t "file://$(CURDIR)/outputs/reports/$(STUDY)/index.html"

benchmark: setup ## how fast this is here, against the plain ways; 3 minutes
	$(BIN)/python -m src.benchmark

benchmark-population: setup ## on a GPU: stacks of runs against single ones, and how they grow; under 8 minutes
	$(BIN)/python -m src.benchmark_population

tensorboard: setup ## look at the curves of all runs in outputs/
	$(BIN)/tensorboard --logdir outputs

clean: ## remove the virtual environment and caches; data and outputs stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
