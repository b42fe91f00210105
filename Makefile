# The project's commands. Everything they need is installed into .venv from the pins in pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_ENV := build/test-env
SOURCES = $(shell find kernels launcher tests -name '*.cu' -o -name '*.cuh' -o -name '*.h' -o -name '*.cpp')
PYTHON_FILES := src tests tools examples benchmarks wheeltool

# Two builds of one commit are the same bytes; outside git any fixed time serves.
ifeq ($(SOURCE_DATE_EPOCH),)
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)
endif
export SOURCE_DATE_EPOCH

# $(call install,FOLDER,GROUPS): pins of pyproject.toml into the environment in FOLDER.
# torch comes first and alone, so that the packages after it take it as it is.
define install
$(1)/bin/python -m pip install --quiet pip==26.3
$(1)/bin/python -m pip install --quiet --group torch
$(1)/bin/python -m pip install --quiet $(foreach group,$(2),--group $(group))
$(1)/bin/python -c "import build; print(*build.ProjectBuilder('.').build_system_requires, sep='\n')" \
	| $(1)/bin/python -m pip install --quiet -r /dev/stdin
endef

.DELETE_ON_ERROR:
.PHONY: help wheel develop test test-gpu demo lint format clean
help:
	@echo 'make wheel     build the wheel into dist/'
	@echo 'make develop   install into .venv for editing: Python at once, C++ and kernels when run again'
	@echo 'make test      build, install into a fresh environment, run everything that needs no GPU'
	@echo 'make test-gpu  the same with the tests for a Hopper GPU'
	@echo 'make demo      build, install, run a real model in FP8'
	@echo 'make lint      check formatting, style and types'
	@echo 'make format    format everything'
	@echo 'make clean     remove everything that was built'

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(call install,$(VENV),wheel test lint)
	touch $@

wheel: $(VENV)/installed
	rm -rf dist build/linux-wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir build/linux-wheel
	umask 022; PATH="$(abspath $(BIN)):$$PATH" auditwheel repair --plat manylinux_2_28_x86_64 --only-plat --exclude libtorch.so \
		--wheel-dir dist build/linux-wheel/*.whl

develop: $(VENV)/installed
	$(BIN)/python -m pip install --no-build-isolation --no-deps --verbose --editable .

# A fresh environment with the wheel in it, not the sources.
.PHONY: test-env
test-env: wheel
	rm -rf $(TEST_ENV)
	$(PYTHON) -m venv $(TEST_ENV)
	$(call install,$(TEST_ENV),wheel test)
	$(TEST_ENV)/bin/python -m pip install --quiet dist/*.whl "./wheeltool[test]"

test: test-env
	$(TEST_ENV)/bin/python -m pytest --junitxml=build/test-results/barrow.xml
	$(TEST_ENV)/bin/python -m pytest --junitxml=build/test-results/wheeltool.xml wheeltool/tests

test-gpu: test-env
	$(TEST_ENV)/bin/python -m pytest tests/gpu

demo: wheel
	$(BIN)/python -m pip install --quiet --group demo
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall dist/*.whl
	$(BIN)/python examples/demo.py

lint: $(VENV)/installed
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/mypy
	MYPYPATH=tests/gpu $(BIN)/mypy benchmarks tests/gpu  # two conftest.py cannot share a run
	cd wheeltool && $(abspath $(BIN))/mypy
	$(BIN)/clang-format --dry-run -Werror $(SOURCES)

format: $(VENV)/installed
	$(BIN)/ruff check --fix $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/clang-format -i $(SOURCES)

clean:
	rm -rf build dist .venv
