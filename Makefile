# Every target sets up what it needs by itself, once: .venv with uv, the pinned requirements and the project.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3.11)
BIN := .venv/bin
# TORCH=cpu, when .venv is made, takes torch's build without CUDA and leaves out the pins that only CUDA needs.
PINS = grep -vE '$(if $(filter cpu,$(TORCH)),^(nvidia-|cuda-|triton=),^$$)' requirements.lock

.DEFAULT_GOAL := help
.PHONY: help setup demo docs results everything ablations mixtures tables figures claims report methods test test-all coverage alive torture mutants coverage-of-intervals lint train train-toys bench bench-gpu bench-reuse lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9%-]+[a-z0-9% -]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 24

.venv/ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or newer, or name it: make demo PYTHON=python3"; exit 2; }
	@echo "setting up .venv (once; a few minutes$(if $(filter cpu,$(TORCH)),, and 6 GB))"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || { echo "error: $(PYTHON) -m venv failed; on Debian: apt install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv==0.13.9
	@$(PINS) | $(BIN)/uv pip sync --quiet --python $(BIN)/python $(if $(TORCH),--torch-backend $(TORCH)) -
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch .venv/ready

setup: .venv/ready ## make .venv (TORCH=cpu: without CUDA's libraries)

demo: .venv/ready ## no guidance, CFG and S2 on the same noise: a table, a picture, a page (MODEL=tiny_sit: synthetic shapes)
	@$(BIN)/s2g demo $(if $(MODEL),--model $(MODEL))

# NUM, OUT and PROFILE stand for --num, --out and --profile.
methods: .venv/ready ## every guidance method on the built-in model, at equal strength and cost: one table (NUM=128 for a quick look)
	@$(BIN)/s2g methods $(if $(PROFILE),--profile $(PROFILE)) $(if $(NUM),--num $(NUM)) $(if $(OUT),--out $(OUT))

tune-%: .venv/ready ## choose each method's knobs on the tuning seed (make tune-methods: an hour)
	@$(BIN)/s2g tune $*

table% fig% eq%: .venv/ready ## a table, figure or equation of the paper (make table2 PROFILE=tiny NUM=128; OUT=FOLDER; LOGGER=wandb; EXECUTOR=ray)
	@$(BIN)/s2g table $@ $(if $(PROFILE),--profile $(PROFILE)) $(if $(NUM),--num $(NUM)) $(if $(OUT),--out $(OUT)) \
	  $(if $(LOGGER),--logger $(LOGGER)) $(if $(EXECUTOR),--executor "$(EXECUTOR)")

ABLATIONS = table2 table4 table7 fig7 fig14 fig15
ablations: .venv/ready ## Tables 2, 4, 7 and Figures 7, 14, 15 in one go (NUM=128: 25 minutes; again: half a minute)
	@$(BIN)/s2g table $(ABLATIONS) $(if $(PROFILE),--profile $(PROFILE)) $(if $(NUM),--num $(NUM)) $(if $(OUT),--out $(OUT)) \
	  $(if $(LOGGER),--logger $(LOGGER)) $(if $(EXECUTOR),--executor "$(EXECUTOR)")

MIXTURES = fig2 fig3 fig4 fig8 fig9 fig10 eq14 eq29
mixtures: .venv/ready ## Figures 2, 3, 4, 8, 9, 10 and Equations 14, 29 in one go: where the truth is known, and digits (ten minutes)
	@$(BIN)/s2g table $(MIXTURES) $(if $(PROFILE),--profile $(PROFILE)) $(if $(NUM),--num $(NUM)) $(if $(OUT),--out $(OUT)) \
	  $(if $(LOGGER),--logger $(LOGGER)) $(if $(EXECUTOR),--executor "$(EXECUTOR)")

tables: .venv/ready ## every measured table, from the committed results
	@$(BIN)/s2g tables

figures: .venv/ready ## every plot of measured results, as SVG and PNG: outputs/figures
	@$(BIN)/s2g figures $(if $(OUT),--out $(OUT))

claims: .venv/ready ## the paper's claims against the measured results: holds, does not hold, inconclusive, not run
	@$(BIN)/s2g claims $(if $(OUT),--out $(OUT))

report: .venv/ready ## a static site of all results: outputs/report/index.html
	@$(BIN)/s2g report $(if $(OUT),--out $(OUT))

results: .venv/ready ## RESULTS.md: claims, every measured table, and what was not run, on one page
	@$(BIN)/s2g tables --page RESULTS.md
	@$(BIN)/python scripts/paper_map.py

docs: .venv/ready ## the documentation site, which works from disk: outputs/docs/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "written: outputs/docs/index.html"

everything: .venv/ready ## every committed result again, compared number by number: outputs/everything (one night; resumes)
	@$(BIN)/s2g everything

plan-%: .venv/ready ## what a table or figure would take (make plan-table1 PROFILE=paper): no weights, no GPU
	@$(BIN)/s2g plan $* $(if $(PROFILE),--profile $(PROFILE)) $(if $(NUM),--num $(NUM))

PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal
test: .venv/ready ## the tests of daily work (5 minutes on two cores); prints what it skipped and why
	@$(PYTEST) -m "not slow"

test-all: .venv/ready ## the tests that make test leaves out: browser, isolated environments, full-size models, ...
	@$(PYTEST) -m slow

coverage: .venv/ready ## line coverage of s2g by all tests (97 %; at least 85 %)
	@$(PYTEST) --cov --cov-report=term --cov-fail-under=85

alive: .venv/ready ## every method on a small network of every family: does it do anything there (2 minutes)
	@$(BIN)/s2g alive

torture: .venv/ready ## kill a table 100 times and compare it with the undisturbed one (20 minutes; EXECUTOR=array or ray; KILLS=20 NUM=640)
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/torture.py $(if $(KILLS),kills=$(KILLS)) $(if $(NUM),items=$(NUM)) $(if $(EXECUTOR),executor=$(EXECUTOR))

mutants: .venv/ready ## small faults in the code that matters most, each against the tests that must notice (SAMPLE=50 of each group; hours)
	@test -x .mutants/bin/python || { $(PYTHON) -m venv .mutants && .mutants/bin/pip install -q --disable-pip-version-check cosmic-ray==8.7.0; }
	@for group in guidance network loop keys; do nice .mutants/bin/python scripts/mutants.py $$group $(if $(SAMPLE),--sample $(SAMPLE)) || true; done

coverage-of-intervals: .venv/ready ## how often the 95 % intervals contain the truth, by simulation
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/coverage_of_intervals.py
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/coverage_within_classes.py
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/coverage_within_classes.py fashion

lint: .venv/ready ## ruff and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

bench: .venv/ready ## sampling beside diffusers' pipelines, S2 beside CFG, a step outside the network: outputs/bench (10 minutes)
	@$(BIN)/python scripts/bench.py --out outputs/bench

bench-gpu: .venv/ready ## the same with full-size networks on a GPU, compiled too, 6 minutes: outputs/bench-gpu
	@$(BIN)/python scripts/bench.py --gpu --out outputs/bench-gpu

bench-reuse: .venv/ready ## what prefix reuse saves: FLOPs and time relative to CFG
	@$(BIN)/python scripts/bench_reuse.py

train: .venv/ready ## train the built-in networks again, but for fashion_sit, which takes a GPU (six hours) and write them into the package
	@$(BIN)/python scripts/train.py model=probe
	@$(BIN)/python scripts/train.py export model=probe
	@$(BIN)/python scripts/train.py model=tiny_sit
	@$(BIN)/python scripts/train.py export model=tiny_sit
	@$(BIN)/python scripts/train.py model=reader threads=1
	@$(BIN)/python scripts/train.py export model=reader
	@$(BIN)/python scripts/train.py model=tiny_sd3 threads=1
	@$(BIN)/python scripts/train.py export model=tiny_sd3
	@$(BIN)/python scripts/train.py model=video_reader threads=1
	@$(BIN)/python scripts/train.py export model=video_reader
	@$(BIN)/python scripts/train.py model=tiny_wan threads=1
	@$(BIN)/python scripts/train.py export model=tiny_wan
	@$(BIN)/python scripts/train.py model=digits_probe threads=1
	@$(BIN)/python scripts/train.py export model=digits_probe
	@$(BIN)/python scripts/train.py model=digits_sit threads=1
	@$(BIN)/python scripts/train.py export model=digits_sit
	@$(BIN)/python scripts/train.py model=fashion_classifier threads=1
	@$(BIN)/python scripts/train.py export model=fashion_classifier
	@$(BIN)/python scripts/train.py model=fashion_sit_small threads=1
	@$(BIN)/python scripts/train.py export model=fashion_sit_small

train-toys: .venv/ready ## train the toy networks that ship, five seeds, and other mixtures (20 minutes)
	@for seed in 0 1 2 3 4; do for model in toy_1d toy_2d; do for data in std=0.5 std=1 "width=16 depth=4"; do \
	  for verb in "" export; do $(BIN)/python scripts/train.py $$verb model=$$model seed=$$seed threads=1 $$data || exit 1; \
	  done; done; done; done
	@for data in classes=sides "std=1 classes=sides"; do for verb in "" export; do \
	  $(BIN)/python scripts/train.py $$verb model=toy_2d threads=1 $$data || exit 1; done; done

lock: .venv/ready ## regenerate requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url --extra dev --python-version 3.11 \
	  --constraint constraints.txt pyproject.toml --output-file requirements.lock

clean: ## remove outputs and caches; stored samples (runs) and .venv stay
	@rm -rf outputs .pytest_cache .ruff_cache
