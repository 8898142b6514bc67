"""Ahead of time: what `precompute` reaches, what is a lookup then, its budgets, and others who decode meanwhile."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

import numpy as np
import pytest

import bridle
import vocabularies
from bridle.automata.precompute import Search
from bridle.automata.table_kernels import MASKS
from oracle import allowed_tokens, vocabulary_of
from random_walks import MIXED

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["one", "two", 3]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "at": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
    },
    "required": ["name", "kind", "tags", "at"],
    "additionalProperties": False,
}
CLOSED = {**PERSON, "properties": {**PERSON["properties"], "at": {**PERSON["properties"]["at"]}}}
CLOSED["properties"]["at"]["additionalProperties"] = False
TREE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["v", "kids"],
    "additionalProperties": False,
}
GRAMMARS: dict[str, Any] = {
    "object": lambda: bridle.Grammar.from_json_schema(CLOSED, whitespace="compact"),
    "space": lambda: bridle.Grammar.from_json_schema({"type": "array", "items": {"type": "boolean"}}, max_whitespace=3),
    "any order": lambda: bridle.Grammar.from_json_schema(CLOSED, whitespace="compact", property_order="any"),
    "regex": lambda: bridle.Grammar.from_regex(r"(ab|a*b){2,5}[0-9]{1,300}"),
    "ebnf": lambda: bridle.Grammar.from_ebnf('root ::= "a" ("b" root "}" | "x" [0-9]*)? "{" | "ab"'),
}


def compiled(name: str, vocabulary: bridle.Vocabulary = MIXED) -> bridle.Compiled:
    return bridle.compile(GRAMMARS[name](), vocabulary)


def masks_made(compiled: bridle.Compiled) -> int:
    return compiled.machine.tables.count(MASKS)


def reachable(compiled: bridle.Compiled) -> set[int]:
    """The configurations that whole tokens lead to, one token after the other."""
    machine = compiled.machine
    found, waiting = {machine.start}, [machine.start]
    stops = compiled.vocabulary.stop_token_ids
    bitmask = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
    matcher = bridle.Matcher(compiled)
    while waiting:
        matcher._ref = waiting.pop()
        for token in allowed_tokens(matcher, bitmask) - set(stops):
            to = machine.step(matcher._ref, token)
            if to not in found:
                found.add(to)
                waiting.append(to)
    return found


@pytest.mark.parametrize("name", ["object", "space", "any order", "regex"])
def test_a_complete_search_has_reached_what_stepping_every_token_reaches(name: str) -> None:
    ahead = compiled(name)
    report = ahead.precompute()
    assert report.complete and not report.stopped and report.error is None
    made = masks_made(ahead)
    assert len(reachable(ahead)) == report.reached == report.followed
    assert masks_made(ahead) == made, "a mask was not there"


@pytest.mark.parametrize("name", list(GRAMMARS))
def test_masks_and_steps_are_those_of_a_grammar_that_was_not_precomputed(name: str) -> None:
    ahead, fresh = compiled(name), compiled(name)
    ahead.precompute(states=3000)
    rng = random.Random(name)
    bitmasks = [bridle.allocate_token_bitmask(1, MIXED.size) for _ in range(2)]
    for _ in range(12):
        matchers = [bridle.Matcher(ahead), bridle.Matcher(fresh)]
        for _ in range(40):
            allowed = [allowed_tokens(m, b) for m, b in zip(matchers, bitmasks, strict=True)]
            assert allowed[0] == allowed[1], matchers[0].text()
            token = rng.choice([*allowed[0], rng.randrange(MIXED.size)])
            assert matchers[0].accept_token(token) == matchers[1].accept_token(token)
            if matchers[0].is_terminated():
                break


def test_with_a_real_vocabulary_no_mask_is_made_any_more() -> None:
    vocabulary = vocabularies.tekken()
    ahead = bridle.compile(bridle.Grammar.from_json_schema(CLOSED), vocabulary)
    report = ahead.precompute()
    assert report.complete
    tokens = {text: token for token, text in enumerate(vocabulary.tokens) if text}
    value = {"name": 'A "b" ü', "kind": "two", "tags": ["x", "日本"], "at": {"x": -1.5e3}}
    bitmask, made = bridle.allocate_token_bitmask(1, vocabulary.size), masks_made(ahead)
    took = []
    for indent in (None, 1, 4):
        text, matcher = json.dumps(value, indent=indent, ensure_ascii=indent is None).encode(), bridle.Matcher(ahead)
        while text:
            before = time.perf_counter()
            matcher.fill_next_token_bitmask(bitmask)
            took.append(time.perf_counter() - before)
            token = next(text[:n] for n in range(min(32, len(text)), 0, -1) if text[:n] in tokens)
            assert matcher.accept_token(tokens[token])
            text = text[len(token) :]
        assert matcher.is_accepting()
    assert masks_made(ahead) == made
    print(f"{report.reached} configurations in {report.seconds:.2f} s; {np.median(took) * 1e6:.1f} us a mask")


# ------------------------------------------------------------------------------------------------ budgets


def test_a_budget_of_configurations_is_kept_and_what_is_near_comes_first() -> None:
    ahead = bridle.compile(bridle.Grammar.from_json_schema(TREE), MIXED)
    report = ahead.precompute(states=500)
    assert (report.reached, report.complete, report.stopped) == (500, False, "states")
    made, matcher = masks_made(ahead), bridle.Matcher(ahead)
    for token in (b'{"', b"a"[:0], b"v", b'":', b"12"):
        if token:
            allowed_tokens(matcher)
            assert matcher.accept_bytes(token)
    assert masks_made(ahead) == made


def test_a_budget_of_seconds_ends_a_search_without_end() -> None:
    ahead = bridle.compile(bridle.Grammar.from_json_schema(TREE), MIXED)
    report = ahead.precompute(states=10**9, seconds=0.2)
    assert report.stopped == "seconds" and 0.2 <= report.seconds < 2


def test_memory_ends_a_search_before_the_machine_is_full() -> None:
    limits = bridle.Limits(memory=4 << 20)
    ahead = bridle.compile(bridle.Grammar.from_json_schema(TREE), MIXED, limits=limits)
    report = ahead.precompute(states=10**9, seconds=20)
    assert report.stopped == "memory"
    machine = ahead.machine
    assert not machine.is_full and ahead.machine is machine


def test_a_limit_of_the_grammar_is_in_the_report() -> None:
    ahead = bridle.compile(GRAMMARS["object"](), MIXED, limits=bridle.Limits(states=22))
    report = ahead.precompute()
    assert report.stopped == "limit" and not report.complete
    assert isinstance(report.error, bridle.LimitError) and report.error.limit == "states"
    assert report.reached > 0 and masks_made(ahead) > 0


def test_names_that_nobody_declared_do_not_eat_the_budget() -> None:
    ahead = bridle.compile(bridle.Grammar.from_json_schema({**PERSON, "additionalProperties": True}), MIXED)
    report = ahead.precompute(states=4000)
    assert report.stopped in ("texts", "states")
    made, matcher = masks_made(ahead), bridle.Matcher(ahead)
    for token in (b'{"', b"n", b"a", b"m", b"e", b'":', b'"', b"x", b'",', b'"', b"k", b"i", b"n", b"d", b'": ', b"3"):
        allowed_tokens(matcher)
        assert matcher.accept_bytes(token), token
    assert masks_made(ahead) == made


def test_progress_is_told_and_ends_with_the_report() -> None:
    told: list[tuple[int, int]] = []
    report = compiled("any order").precompute(progress=lambda reached, waiting: told.append((reached, waiting)))
    assert told[-1] == (report.reached, 0)
    assert [reached for reached, _ in told] == sorted(reached for reached, _ in told)


# ------------------------------------------------------------------------------------------------ in the background


def test_others_decode_while_it_runs_and_change_over() -> None:
    ahead = bridle.compile(bridle.Grammar.from_json_schema(TREE), MIXED)
    before = ahead.machine
    fresh = bridle.compile(bridle.Grammar.from_json_schema(TREE), vocabulary_of(list(MIXED.tokens[:-1])))
    handle = ahead.precompute(background=True, states=4000)
    rng, faults = random.Random(7), []

    def decode(seed: int) -> None:
        rng = random.Random(seed)
        try:
            while not handle.done:
                matcher = bridle.Matcher(ahead)
                for _ in range(30):
                    allowed = sorted(allowed_tokens(matcher))
                    assert matcher.accept_token(rng.choice(allowed))
                    if matcher.is_terminated():
                        break
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=decode, args=(seed,)) for seed in range(2)]
    middle = bridle.Matcher(ahead)
    assert middle.accept_bytes('{"v":')
    for thread in threads:
        thread.start()
    report = handle.wait(60)
    for thread in threads:
        thread.join()
    assert not faults
    assert report is not None and report.reached == 4000 and handle.report is report
    assert ahead.machine is not before
    twin = bridle.Matcher(fresh)
    assert twin.accept_bytes('{"v":')
    for _ in range(20):  # a matcher that was in the middle of a text
        allowed = sorted(allowed_tokens(middle))
        assert allowed == sorted(allowed_tokens(twin))
        token = rng.choice(allowed)
        assert middle.accept_token(token) and twin.accept_token(token)
        if twin.is_terminated():
            break


def test_cancelled_it_ends_soon_and_changes_nothing() -> None:
    ahead = bridle.compile(bridle.Grammar.from_json_schema(TREE), MIXED)
    before = ahead.machine
    handle = ahead.precompute(background=True, states=10**9)
    assert handle.wait(0.05) is None and not handle.done
    handle.cancel()
    report = handle.wait(10)
    assert report is not None and report.stopped == "cancelled" and handle.done
    assert ahead.machine is before


def test_what_goes_wrong_in_the_thread_is_raised_by_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(Search, "run", broken)
    handle = compiled("regex").precompute(background=True)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        handle.wait(10)
