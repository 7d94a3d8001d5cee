# labelsplat: `make repro` runs the whole line, `make test` the tests. Both set up .venv first.

# The first Python >= 3.11 that really starts (a shim of a version manager may not). The plain name
# comes first: it is the one that the machine's owner chose.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# dvc.yaml says `python`: the environment's, also in kernels and worker processes.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

CAPTURE ?=
OUT ?= out
PARSER ?=
PROFILE ?=
STUDY ?=

.PHONY: help setup repro experiments test browser refine study study-admin study-tokens study-export study-backup study-erase lab tune bench lint format profile clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	  printf '  make %-12s %s\n' "$$name" "$$text"; done

setup:  ## make .venv from requirements.lock; nothing if it is up to date
	@test -n "$(PYTHON)" || { echo "setup: no Python >= 3.11 found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -I lib/labelsplat/report/environment.py setup

repro: setup  ## run every stage that is not up to date, then gather metrics and the front page
	@$(BIN)/python -m labelsplat check
	@$(BIN)/dvc repro
	@$(BIN)/python -m labelsplat finish

experiments: setup  ## run the experiments beside the line (about 90 minutes); the line first, if need be
	@$(BIN)/python -m labelsplat check
	@$(BIN)/dvc repro dvc.yaml notebooks/experiments/dvc.yaml
	@$(BIN)/python -m labelsplat finish

test: setup browser  ## run all tests
	@$(BIN)/python -m pytest -q

# The rating app is tested in a real browser, Debian's. Where it cannot be had, these tests are skipped
# and say so.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "setup: installing chromium and chromium-driver for the browser tests"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	      chromium chromium-driver; } >/dev/null || true; \
	  else echo "setup: no chromium and chromedriver here: browser tests will be skipped"; fi; }

refine: setup  ## refine the labels of your photos: CAPTURE=folder OUT=folder [PARSER=checkpoint]
	@test -n "$(CAPTURE)" || { echo "usage: make refine CAPTURE=<folder of photos and cameras> OUT=<new folder> [PARSER=<checkpoint>]" >&2; exit 1; }
	@$(BIN)/python -m labelsplat refine "$(CAPTURE)" --out "$(OUT)" $(if $(PARSER),--parser "$(PARSER)")

study: setup  ## run the rating app: [STUDY="--port 8765 --contact 'name, e-mail'"]
	@$(BIN)/python -m labelsplat study serve $(STUDY)

study-admin: setup  ## who has answered how much in the study
	@$(BIN)/python -m labelsplat study progress $(STUDY)

study-tokens: setup  ## issue personal links: STUDY="--count 24 --origin human --base https://..."
	@$(BIN)/python -m labelsplat study tokens $(STUDY)

study-backup: setup  ## copy all answers, also while the app runs: [STUDY=new-file.sqlite]
	@$(BIN)/python -m labelsplat study backup $(STUDY)

study-export: setup  ## write the ratings as CSV: [STUDY="answers/ratings.csv --origin human"]
	@$(BIN)/python -m labelsplat study export $(STUDY)

study-erase: setup  ## erase a rater's data for good: STUDY=r007
	@$(BIN)/python -m labelsplat study erase $(STUDY)

lab: setup  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

tune: setup  ## score the active settings on the tune set, where settings are chosen
	@$(BIN)/python -m labelsplat tune

bench: setup  ## time the rasterizer, write reports/metrics/bench_splats.json
	@$(BIN)/python -m labelsplat.report.bench_splats
	@$(BIN)/python -m labelsplat.report.bench_cuda

lint: setup  ## ruff over code and notebooks
	@$(BIN)/ruff check lib tests notebooks
	@$(BIN)/ruff format --check lib tests notebooks

format: setup  ## mend what ruff can mend, strip the notebooks to their canonical form
	@$(BIN)/ruff check --fix lib tests notebooks
	@$(BIN)/ruff format lib tests notebooks
	@$(BIN)/python -m labelsplat.report.notebooks strip notebooks/*.ipynb notebooks/*/*.ipynb

profile: setup  ## write a profile into params.yaml: PROFILE=quick|default|paper
	@$(BIN)/python -m labelsplat profile $(PROFILE)

clean:  ## remove what stages wrote (DVC's cache and .venv stay, so repro brings it back)
	rm -rf data models work reports/html reports/timing reports/failed reports/.finished
	find lib tests -name __pycache__ -prune -exec rm -rf {} +
