"""The benchmark's runner: what it counts, what it compares, and one small run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import engines
import grammars_beside
import maskbench


class Script:
    """An engine of four tokens that accepts what it is told: `right` ids; `liar` ones against its own mask."""

    refusals = (ValueError,)

    def __init__(self, right, liar=()):
        self.right, self.liar = right, liar
        self.mask = np.zeros((1, 1), np.int32)

    def compile(self, schema):
        if schema is False:
            raise ValueError("no")
        return schema

    def begin(self, grammar):
        if grammar == "crash":
            raise KeyError("lost")

    def fill(self):
        self.mask[0, 0] = sum(1 << token for token in self.right)

    def accept(self, token):
        return token in self.right or token in self.liar


class Cutter:
    """Tokens whose ids are an instance's numbers."""

    stop = 3

    def cut(self, text):
        return json.loads(text)


def examined(engine, schema, *tests):
    row = {"id": "f/n", "schema": schema, "tests": [{"valid": valid, "data": data} for valid, data in tests]}
    return maskbench.examine(engine, row, Cutter())


def test_verdicts_that_are_wrong_are_faults():
    result = examined(Script({0, 1, 3}), {}, (True, [0, 1]), (True, [0, 2]), (False, [1]), (False, [2]))
    assert result["faults"] == [[1, "valid rejected"], [2, "invalid accepted"]]
    assert (len(result["tbm"]), len(result["warm"]), result["family"]) == (2, 2, "f")


def test_a_text_that_may_not_end_is_not_accepted():
    assert examined(Script({0}), {}, (True, [0, 0]))["faults"] == [[0, "valid rejected"]]


def test_a_mask_that_contradicts_accept_is_a_fault():
    assert examined(Script({0, 3}, liar={1}), {}, (True, [0, 1]))["faults"] == [[0, "mask disagrees"]]


def test_refusals_and_crashes_differ():
    assert examined(Script({0}), False)["status"] == "refused"
    assert examined(Script({0}), "crash")["status"] == "crash"


def test_the_median_of_repeats_counts():
    runs = [{"status": "ok", "ttfm": t, "tbm": [t, 9.0], "warm": []} for t in (3.0, 1.0, 2.0)]
    assert maskbench.median(runs) == {"status": "ok", "ttfm": 2.0, "tbm": [2.0, 9.0], "warm": []}
    assert maskbench.median([*runs, {"status": "timeout"}])["status"] == "timeout"


def result_of(name, times, status="ok"):
    family = name.partition("/")[0]
    first, *rest = times
    return {"id": name, "family": family, "status": status, "faults": [], "ttfm": first, "tbm": rest, "warm": rest}


def test_only_schemas_that_all_compile_are_timed():
    runs = {
        "llguidance": [result_of("a/x", [10.0, 4.0]), result_of("b/x", [10.0, 4.0])],
        "bridle": [result_of("a/x", [5.0, 1.0]), result_of("b/x", [5.0, 1.0], "refused")],
    }
    common = maskbench.timed(runs)
    assert [result["id"] for result in common["llguidance"]] == ["a/x"]
    assert "| TTFM mean | 10.0 | 5.0 | 0.50 |" in maskbench.distributions(common, "llguidance")
    assert "| a | 1 | 10.0 | 0.50 | 4.0 | 0.25 | 4.0 | 0.25 |" in maskbench.by_family(common, "llguidance")
    assert "| refused | 0 | 1 |" in maskbench.outcomes(runs)


def test_a_run_on_one_family_writes_what_was_asked_for(tmp_path, capsys):
    pytest.importorskip("tiktoken")
    if engines.tekken_file() is None:
        pytest.skip("mistral-common with its Tekken is not installed")
    maskbench.main(["--engine", "bridle", "--family", "whitespace", "--json", str(tmp_path / "out.json")])
    shown = capsys.readouterr().out
    assert "| passing, of 2 | 2 |" in shown
    (results,) = json.loads((tmp_path / "out.json").read_text())["runs"].values()
    assert all(len(result["tbm"]) == len(result["warm"]) > 10 for result in results)


def test_the_distributions_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from plot_distributions import plot

    times = {name: {metric: np.array([1.0, 5.0, 80.0]) for metric in maskbench.METRICS} for name in engines.ENGINES}
    plot(times, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"


def test_grammars_beside_leaves_out_what_one_engine_refuses_and_compares_with_the_better_peer():
    n = len(grammars_beside.texts_of("json"))

    def times(us):
        return {"mask": 10 * us, "first": [[us, us]] * n, "second": [[us / 2]] * n}

    found = {
        "faults": [("XGrammar, GBNF", 1, "token 0 of 2 is refused")],
        "engines": {"llguidance, Lark": times(10.0), "XGrammar, GBNF": times(40.0), "bridle, Lark": times(5.0)},
    }
    told = grammars_beside.report("json", found)
    assert told.startswith(f"json, {n - 1} texts, {2 * (n - 1)} masks")
    assert "| bridle, Lark | 0.1 (0.50) | 5.0 (0.50) | 5.0 (0.50) |" in told
    assert "- XGrammar, GBNF on" in told and "token 0 of 2 is refused" in told


def test_grammars_beside_runs_bridle_along_a_text():
    tokens = Bytes()
    engine = grammars_beside.BridleEbnf(tokens)
    grammar = engine.compile('root ::= "a"+')
    times, fault = grammars_beside.along(engine, grammar, tokens.cut("aaa"), tokens.stop)
    assert len(times) == 3 and fault == ""
    assert grammars_beside.along(engine, grammar, tokens.cut("ab"), tokens.stop)[1] == "token 1 of 2 is refused"
    assert grammars_beside.along(engine, grammar, [], tokens.stop)[1] == "it may not end"


class Bytes:
    """A token for each byte, and a stop token."""

    stop = 256

    def __init__(self):
        self.tokens = [*(bytes((b,)) for b in range(256)), b""]

    def cut(self, text):
        return list(text.encode())
