"""The public names: sorted, complete, importable, and free until they are used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

import bridle

CONTRACT = {
    "BridleError", "Grammar", "GrammarError", "LimitError", "Limits", "Matcher", "UnsatisfiableError",
    "UnsupportedError", "Vocabulary", "VocabularyError", "allocate_token_bitmask", "compile",
    "fill_next_token_bitmasks", "integrations", "load", "parse", "sampler", "validate",
}  # fmt: skip


def test_all_is_sorted() -> None:
    assert list(bridle.__all__) == sorted(set(bridle.__all__))


def test_all_is_what_can_be_imported_and_holds_the_contract() -> None:
    assert set(bridle.__all__) == set(bridle._PUBLIC)
    assert set(bridle.__all__) >= CONTRACT
    assert set(dir(bridle)) >= set(bridle.__all__)


@pytest.mark.parametrize("name", bridle.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(bridle, name) is not None


def test_every_public_class_and_function_says_what_it_does() -> None:
    things = {name: getattr(bridle, name) for name in bridle.__all__}
    undocumented = [n for n, thing in things.items() if callable(thing) and not thing.__doc__]
    assert not undocumented


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="'bridle' has no attribute 'Grammer'"):
        _ = bridle.Grammer


def test_a_star_import_brings_the_public_names_alone() -> None:
    namespace: dict = {}
    exec("from bridle import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(bridle.__all__)


def test_importing_bridle_is_quick_and_loads_no_heavy_package() -> None:
    code = (
        "import time; before = time.perf_counter(); import bridle; took = time.perf_counter() - before\n"
        "import sys, json; print(json.dumps([took, sorted(sys.modules)]))"
    )
    best, loaded = 9.0, set()
    for _ in range(3):  # the best of three: the machine may be busy
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        took, modules = json.loads(output)
        best, loaded = min(best, took), loaded | set(modules)
    assert not loaded & {"numba", "llvmlite", "torch", "transformers", "numpy", "typer", "rich"}
    print(f"import bridle: {best * 1e3:.1f} ms")
    assert best < 0.2


def test_asking_for_an_error_class_loads_no_numba() -> None:
    code = "import bridle, sys; bridle.GrammarError; print('numba' in sys.modules, 'torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    ).stdout
    assert output.split() == ["False", "False"]


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert version("bridle") == bridle.__version__


def test_a_grammar_is_ready_within_milliseconds_once_kernels_are_loaded() -> None:
    bridle.validate(bridle.Grammar.from_regex("a"), "a")
    before = time.perf_counter()
    assert bridle.validate(bridle.Grammar.from_json_schema({"type": "integer"}), "12").ok
    assert time.perf_counter() - before < 1
