# `make demo` and `make test` work as the first command on a fresh clone: they set .venv up, once per change of what it holds.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv/.bench-installed
VLLM := .venv-vllm
LLAMA_CPP := .venv-llama-cpp
WORKERS ?= 2

.PHONY: demo test test-slow test-vllm test-llama-cpp lint kernels bench
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
$(VLLM)/.installed: pyproject.toml constraints.txt tests/in_vllm/install.py
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python tests/in_vllm/install.py
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . 'pytest>=8' 'jsonschema>=4.23'
	touch $@

# Inside the real engine, on the CPU.
test-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -c 'from bridle.automata.kernel import load_kernels; load_kernels(everything=True)'
	$(VLLM)/bin/python -m pytest tests/in_vllm

# llama-cpp-python has no wheels on PyPI: a C++ compiler builds it for minutes, so it has an environment of its own.
$(LLAMA_CPP)/.installed: pyproject.toml constraints.txt
	test -x $(LLAMA_CPP)/bin/python || $(PYTHON) -m venv $(LLAMA_CPP)
	CMAKE_ARGS="-DGGML_NATIVE=OFF" $(LLAMA_CPP)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[hf,llama-cpp,test]' gguf
	touch $@

test-llama-cpp: $(LLAMA_CPP)/.installed
	$(LLAMA_CPP)/bin/python -c 'from bridle.automata.kernel import load_kernels; load_kernels(everything=True)'
	$(LLAMA_CPP)/bin/python -m pytest tests/llama_cpp_python

# The folders of the layout become one package only when they are installed, so mypy reads what a wheel would hold; it
# runs in that folder because the folder `bridle` in the root would shadow it.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/wheel .
	cd build/wheel && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache
