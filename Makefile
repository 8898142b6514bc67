# `make demo` and `make test` work as the first command on a fresh clone: they set .venv up, once per change of what it holds.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv/.bench-installed
VLLM_BIN := .venv-vllm/bin
VLLM_INSTALLED := .venv-vllm/.installed
WORKERS ?= 2

.PHONY: demo test test-slow test-vllm lint kernels bench
.DEFAULT_GOAL := test

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[hf,test]'
	touch $@

$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

# Compiled once into the cache, or every pytest worker would do it at the same time.
kernels: $(INSTALLED)
	$(BIN)/python -c 'from bridle.automata.kernel import load_kernels; load_kernels(everything=True)'

demo: kernels
	$(BIN)/python bench/demo.py

# Other engines beside this one, on the committed corpus.
bench: kernels $(BENCH_INSTALLED)
	$(BIN)/python bench/maskbench.py --plot bench/distributions.png

test: lint kernels
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow'

test-slow: kernels
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

# vLLM pins versions of its own, numba's among them, so it has an environment of its own (3.5 GB), with kernels of its own.
$(VLLM_INSTALLED): pyproject.toml constraints.txt tests/in_vllm/install.py
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv .venv-vllm
	$(VLLM_BIN)/python tests/in_vllm/install.py
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . 'pytest>=8' 'jsonschema>=4.23'
	touch $@

# Inside the real engine, on the CPU.
test-vllm: $(VLLM_INSTALLED)
	$(VLLM_BIN)/python -c 'from bridle.automata.kernel import load_kernels; load_kernels(everything=True)'
	$(VLLM_BIN)/python -m pytest tests/in_vllm

# The folders of the layout become one package only when they are installed, so mypy reads what a wheel would hold; it
# runs in that folder because the folder `bridle` in the root would shadow it.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/wheel .
	cd build/wheel && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache
