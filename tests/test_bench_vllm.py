"""The benchmark of vLLM's backends: its plan and its tables (in_vllm/test_bench_loop.py has what needs vLLM)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import vllm_backends
from vllm_backends import BATCHES, Model, candidates, cells, first_tokens_table, phases_of, pooled, steps_table

BOX = Model("box", Path(__file__).parent.parent / "integrations" / "box", 1)


def row(i, texts=1):
    return {"id": f"r{i}", "schema": "{}", "texts": [[i, n, 1] for n in range(texts)]}


@pytest.fixture(scope="module")
def phases():
    return phases_of([row(i, texts=3 if i == 7 else 1) for i in range(sum(BATCHES.values()) + 1)])


def ids(phase):
    return [request["id"] for request in phase["requests"]]


def test_no_schema_is_new_twice(phases):
    new = [id_ for phase in phases if phase["state"] == "new" for id_ in set(ids(phase))]
    assert len(new) == len(set(new)) == sum(BATCHES.values())
    assert "r7" not in new  # it is the shared one


def test_what_is_seen_or_free_was_new_before(phases):
    for batch in BATCHES:
        new, seen, shared, free = (phase for phase in phases if phase["batch"] == batch)
        assert [phase["state"] for phase in (new, seen, shared, free)] == ["new", "seen", "shared", "free"]
        constrained = [request for request in new["requests"] if request["schema"] is not None]
        assert constrained == seen["requests"]
        assert [r | {"schema": None} for r in seen["requests"]] == free["requests"]
        assert {id_ for id_ in ids(shared)} == {"r7"}
        assert len({tuple(request["tokens"]) for request in shared["requests"]}) == 3


def test_the_unconstrained_twin_of_a_new_request_comes_right_before_it(phases):
    requests = phases[0]["requests"]
    for free, new in zip(requests[::2], requests[1::2], strict=True):
        assert free == new | {"schema": None} and new["schema"] is not None


def test_candidates_have_valid_texts_of_a_fit_length_that_end_with_the_stop_token():
    fit, long = {"name": "Ada Lovelace", "year": 1815}, {"name": "Ada " * 200}
    tests = [{"valid": True, "data": fit}, {"valid": False, "data": fit}, {"valid": True, "data": long}]
    rows = [{"id": "a", "schema": {"type": "object"}, "tests": tests}, {"id": "b", "schema": True, "tests": tests[1:]}]
    (found,) = candidates(rows, BOX, 5)
    (text,) = found["texts"]
    assert found["id"] == "a" and json.loads(found["schema"]) == {"type": "object"}
    assert text[-1] == BOX.stop and vllm_backends.SHORTEST <= len(text) <= vllm_backends.LONGEST


def step(fill, rows, whole=0.002):
    times = {"fill": fill, "fill_cpu": fill / 2, "accept": 1e-6, "accept_cpu": 1e-6}
    return {"step": whole, "rows": rows, **times}


def runs_of(fill):
    phases = [
        {"batch": batch, "state": state, "failed": ["r1: error"] if (batch, state) == (16, "new") else [],
         "steps": [step(fill, batch), step(3 * fill, batch), step(0, 0, 0.001)],
         "compiles": [[0.002, 0.002, 1]], "admissions": [[0.001, 0.001, 1]], "first": [[True, fill], [False, 0.001]]}
        for batch in BATCHES for state in ("new", "seen", "shared", "free")
    ]  # fmt: skip
    return phases


def test_steps_are_told_by_what_had_grammars_and_as_ratios_to_the_first_backend():
    runs = {"bridle": runs_of(10e-6), "xgrammar": runs_of(40e-6)}
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in steps_table(runs, "wall").splitlines()]
    found = {tuple(line[:3]): line[3:] for line in lines}
    assert found["16", "new", "bridle"][:3] == ["16.0", "20", "1.00"]
    assert found["16", "new", "xgrammar"][:3] == ["16.0", "80", "4.00"]
    assert found["16", "new", "bridle"][-2:] == ["2", "1"]  # ms a step, failed
    assert found["16", "free", "bridle"][-2:] == ["1", "0"]
    assert "| 16 | new | bridle | 16.0 | 10 |" in steps_table(runs, "thread")


def test_first_tokens_are_those_of_constrained_requests_beside_their_twins():
    runs = {"bridle": runs_of(4e-3), "guidance": runs_of(8e-3)}
    lines = first_tokens_table(runs).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["bridle", "4", "4", "1.00", "4", "4", "1", "1"]
    assert lines[3].startswith("| guidance | 8 | 8 | 2.00 |")
    assert vllm_backends.compile_table(runs).count("\n") == 2 + 3 * 3 * 2


def test_repeats_are_pooled_and_cells_are_short():
    phases = [*runs_of(1e-6), *runs_of(1e-6)]
    assert len(pooled(phases, 64, "seen", "steps")) == 6
    assert cells([0.5, 1.5], 1e3, "mean", "p50") == ["1,000", "1,000"]
    assert cells([1.2345], 1, "mean") == ["1.23"] and cells([], 1, "mean", "p99") == ["-", "-"]
