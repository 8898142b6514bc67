"""The search example finds what counting every sentence finds, and runs as it stands."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from constrained_nbest import beam, best_first, main

from enumerable_model import BUDGET, PROMPT, TableModel, compiled, sentences

MODEL = TableModel()
BY_LIKELIHOOD = sorted(((MODEL.log_prob(ids), ids) for ids in sentences()), reverse=True)
COMPILED = compiled()


def test_best_first_search_yields_every_sentence_from_the_likeliest_on() -> None:
    found = list(best_first(MODEL, COMPILED, PROMPT, BUDGET))
    assert [one.ids for one in found] == [ids for _, ids in BY_LIKELIHOOD]
    assert [one.log_prob for one in found] == pytest.approx([log_prob for log_prob, _ in BY_LIKELIHOOD], abs=1e-9)


def test_the_likeliest_sentence_takes_few_forwards() -> None:
    model = TableModel()
    next(best_first(model, COMPILED, PROMPT, BUDGET))
    few = model.forwards
    list(best_first(model, COMPILED, PROMPT, BUDGET))
    assert few < (model.forwards - few) / 5


@pytest.mark.parametrize("n", [1, 5, 40])
def test_a_wide_beam_finds_the_likeliest_sentences(n: int) -> None:
    found = beam(MODEL, COMPILED, PROMPT, BUDGET, n=n, width=5000)
    assert [one.ids for one in found] == [ids for _, ids in BY_LIKELIHOOD[:n]]


@pytest.mark.parametrize("width", [4, 16, 64])
def test_a_narrow_beam_finds_sentences_with_their_true_log_probabilities(width: int) -> None:
    found = beam(MODEL, COMPILED, PROMPT, BUDGET, n=3, width=width)
    truth = {ids: log_prob for log_prob, ids in BY_LIKELIHOOD}
    assert 0 < len(found) <= 3
    assert [one.log_prob for one in found] == sorted((one.log_prob for one in found), reverse=True)
    for one in found:
        assert one.log_prob == pytest.approx(truth[one.ids], abs=1e-9)


@pytest.mark.parametrize("budget", [4, 7])
def test_what_does_not_end_within_the_budget_is_no_result(budget: int) -> None:
    expected = sorted(sentences(budget))
    assert sorted(one.ids for one in best_first(MODEL, COMPILED, PROMPT, budget)) == expected
    assert sorted(one.ids for one in beam(MODEL, COMPILED, PROMPT, budget, n=1000, width=5000)) == expected


def test_best_first_and_beam_agree_on_a_random_model_with_another_prompt() -> None:
    model = TableModel(seed=11)
    one = list(islice(best_first(model, COMPILED, (), BUDGET), 7))
    assert [h.ids for h in one] == [h.ids for h in beam(model, COMPILED, (), BUDGET, n=7, width=5000)]


def test_the_example_runs_and_its_best_first_search_is_nowhere_worse_than_its_beam(capsys: Any) -> None:
    pytest.importorskip("transformers")
    main()
    printed = capsys.readouterr().out
    scores = [float(line.split()[0]) for line in printed.splitlines() if line.startswith("  ")]
    wide, best = scores[:5], scores[5:]
    assert len(best) == 5
    assert all(one >= other for one, other in zip(best, wide, strict=True))
    assert best == sorted(best, reverse=True)
    assert '"Osaka"}' in printed
