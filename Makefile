# Everything happens in a virtual environment of the project's own. `make demo` and `make test` need only Python 3.11+.
# `make test-quick` leaves out what is marked slow: whole commands, servers, trainings, processes that are killed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

.PHONY: demo test test-quick check format bench docs pretrained card gallery clean

demo: $(VENV)/.installed
	$(BIN)/fauxley demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --cov -n 2 --dist loadfile

test-quick: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/check_pages.py
	$(BIN)/python scripts/site/layout_page.py --check
	$(MKDOCS) build --strict --quiet
	$(BIN)/python -m pytest tests/docs

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python scripts/site/layout_page.py

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/convolution.py
	mkdir -p build && rm -f build/bench.json
	$(BIN)/python benchmarks/train_step.py --dim 16 --batch-size 16 --json build/bench.json
	$(BIN)/python benchmarks/train_step.py --dim 64 --batch-size 8 --repeats 3 --json build/bench.json
	$(BIN)/python benchmarks/train_step.py --objective relativistic --dim 16 --batch-size 16 --json build/bench.json
	$(BIN)/python benchmarks/train_step.py --model specgan --dim 16 --batch-size 16 --json build/bench.json
	$(BIN)/python benchmarks/generation.py --json build/bench.json
	$(BIN)/python benchmarks/data_loading.py
	$(BIN)/python benchmarks/compare.py build/bench.json

docs: $(VENV)/.installed-dev
	$(BIN)/python scripts/site/layout_page.py
	$(MKDOCS) build --strict --quiet
	@echo "open build/site/index.html"

# A model that ships, from the data packs in FAUXLEY_DATA_DIR: make pretrained NAME=drums MINUTES=240
NAME    ?= drums
MINUTES ?= 240
pretrained: $(VENV)/.installed
	$(BIN)/python scripts/pretrained.py train $(NAME) --minutes $(MINUTES)

# One that is trained already: make card NAME=drums MODEL=runs/drums TRAINING="240 minutes on ..."
card: $(VENV)/.installed
	$(BIN)/python scripts/pretrained.py card $(NAME) --model $(MODEL) --training "$(TRAINING)"

# docs/gallery.md: make gallery SOURCES='"Real=FOLDER" "wavegan, 60 minutes=runs/a" "default, 60 minutes=runs/b"'
gallery: $(VENV)/.installed
	$(BIN)/python scripts/gallery.py $(SOURCES)

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .[dev]
	touch $@ $(VENV)/.installed
