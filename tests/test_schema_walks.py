"""Schemas with every keyword, against the judge: what bridle writes is valid, and what is valid bridle reads.

Two properties, each for every focus of schema_strategies:

- *walks*: a random walk over a matcher's masks never meets a dead end, its masks allow what accept_token accepts, and a
  text that it finishes is valid, and a sentence for `bridle.validate` in both of its ways;
- *instances*: on texts that json.dumps writes of values near the schema, `bridle.validate`, a Matcher over bytes with
  members in any order and the judge say the same; one with members in the schema's order accepts valid texts alone, and
  of every valid value some order of its members.

A schema may be refused (UnsupportedError, LimitError): counted, and shown with `--hypothesis-show-statistics`. One that
is called unsatisfiable must admit no drawn value. All others must compile: the schemas are well formed.

`make test` runs a fixed selection of some seconds; `make test-slow` draws thousands at random. A failure prints schema
and text; hypothesis shrinks them first.
"""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, permutations, product
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, given, settings
from hypothesis import strategies as st

import bridle
from judge import Judge, Undecided, judge
from oracle import vocabulary_of
from random_walks import MIXED, walk, words_of
from schema_strategies import FOCI, instances, json_texts, schemas

FAST_EXAMPLES = 80
SLOW_EXAMPLES = 2000
# Most bytes of a walk.
LONGEST_WALK = 160
# Seconds that one schema may take with all its texts: beyond any sensible use, but not for ever.
PATIENCE = 60
# Orders of an instance's members that are tried under property_order="schema"; one with more is not.
MOST_ORDERS = 200

BYTES = vocabulary_of([bytes((byte,)) for byte in range(256)])


def count(what: str) -> None:
    """For the statistics; the cases that are written down have none."""
    if currently_in_test_context():
        event(what)


@contextmanager
def patience(schema: Any) -> Iterator[None]:
    """Fails where a schema takes longer than any budget should let it."""

    def end(*_: Any) -> None:
        pytest.fail(f"more than {PATIENCE} s for {json.dumps(schema)}", pytrace=True)

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Read(NamedTuple):
    """A schema that bridle has taken."""

    grammar: bridle.Grammar
    compiled: bridle.Compiled


def read(schema: Any, order: str, vocabulary: bridle.Vocabulary) -> Read | None:
    """The schema, or None where it is refused, which is counted. Raises UnsatisfiableError."""
    try:
        grammar = bridle.Grammar.from_json_schema(schema, property_order=order)
        return Read(grammar, bridle.compile(grammar, vocabulary))
    except bridle.UnsupportedError as error:
        count(f"refused: {error.keyword}")
    except bridle.LimitError as error:
        count(f"refused: limit {error.limit}")
    return None


def opinion(of: Judge, text: str) -> str | None:
    """The judge's complaint; Undecided skips the example."""
    try:
        return of.complaint(text)
    except Undecided:
        count("the judge is undecided")
        raise


def said(schema: Any, text: Any, **more: Any) -> str:
    """What a failure shows."""
    lines = [f"schema: {json.dumps(schema, ensure_ascii=False)}", f"text:   {text!r}"]
    return "\n".join(["", *lines, *(f"{key}: {value}" for key, value in more.items())])


# ------------------------------------------------------------------------------------------------ walks


def check_walks(data: st.DataObject, focus: str) -> None:
    draft = data.draw(st.sampled_from([2020, 2020, 7, 4, 6, 2019]), label="draft")
    schema = data.draw(schemas(draft, focus), label="schema")
    order = data.draw(st.sampled_from(["schema", "any"]), label="property_order")
    seed = data.draw(st.integers(0, 1 << 16), label="seed")
    with patience(schema):
        try:
            taken = read(schema, order, MIXED)
        except bridle.UnsatisfiableError:
            count("unsatisfiable")
            return
        if taken is None:
            return
        for i in range(3):
            try:
                walked = walk(taken.compiled, random.Random(seed + i), longest=LONGEST_WALK, words=words_of(schema))
                assert not walked.fault, walked.fault + said(schema, walked.text)
                if not walked.finished:
                    count("walk: unfinished")
                    continue
                text = walked.text
                count("walk: finished")
                complaint = opinion(judge(schema, formats=True), text.decode())
                assert complaint is None, "an invalid text was written" + said(schema, text.decode(), judge=complaint)
                assert bridle.validate(taken.grammar, text), "written, but not read" + said(schema, text)
                assert bridle.validate(taken.grammar, text, as_generated=True), "not as generated" + said(schema, text)
            except bridle.LimitError as error:
                count(f"a budget met in the middle of a text: {error.limit}")
            except Undecided:
                return


# ------------------------------------------------------------------------------------------------ instances


def check_instances(data: st.DataObject, focus: str) -> None:
    draft = data.draw(st.sampled_from([2020, 2020, 7, 4, 6, 2019]), label="draft")
    schema = data.draw(schemas(draft, focus), label="schema")
    values = data.draw(st.lists(instances(schema), min_size=1, max_size=5), label="values")
    texts = [data.draw(json_texts(value)) for value in values]
    own = judge(schema, formats=True)
    with patience(schema):
        try:
            free, ordered = read(schema, "any", BYTES), read(schema, "schema", BYTES)
        except bridle.UnsatisfiableError as error:
            count("unsatisfiable")
            for text in texts:
                try:
                    complaint = opinion(own, text)
                except Undecided:
                    return
                assert complaint is not None, "called unsatisfiable" + said(schema, text, error=error)
            return
        assert (free is None) == (ordered is None), "refused in one order alone" + said(schema, None)
        if free is None or ordered is None:
            return
        for text in texts:
            try:
                compare(schema, own, free, ordered, text)
            except bridle.LimitError as error:
                count(f"a budget met in the middle of a text: {error.limit}")
            except Undecided:
                return


def compare(schema: Any, own: Judge, free: Read, ordered: Read, text: str) -> None:
    """The judge's word on a text is that of `validate` and of the Matcher; in order, only valid ones are accepted."""
    complaint = opinion(own, text)
    count("valid" if complaint is None else "invalid")
    verdict, accepted = bridle.validate(free.grammar, text), accepts(free.compiled, text)
    if (verdict.ok, accepted) != (complaint is None, complaint is None):
        kind = "a valid text is rejected" if complaint is None else "an invalid text is accepted"
        raise AssertionError(kind + said(schema, text, judge=complaint, validate=verdict, matcher=accepted))
    if complaint is not None:
        assert not accepts(ordered.compiled, text), "accepted in order" + said(schema, text, judge=complaint)
    elif (orders := list(islice(orders_of(json.loads(text)), MOST_ORDERS + 1))) and len(orders) <= MOST_ORDERS:
        in_order = any(accepts(ordered.compiled, json.dumps(value)) for value in orders)
        assert in_order, "a valid value has no order in which it is accepted" + said(schema, text)


def orders_of(value: Any) -> Iterator[Any]:
    """The value with the members of its objects in every order; all of them if there are at most MOST_ORDERS."""

    def inner(part: Any) -> list[Any]:
        return list(islice(orders_of(part), MOST_ORDERS + 1))

    if isinstance(value, list):
        yield from map(list, product(*map(inner, value)))
    elif isinstance(value, dict):
        for names in permutations(value):
            for items in product(*(inner(value[name]) for name in names)):
                yield dict(zip(names, items, strict=True))
    else:
        yield value


def accepts(compiled: bridle.Compiled, text: str) -> bool:
    matcher = bridle.Matcher(compiled)
    return matcher.accept_bytes(text.encode()) and matcher.is_accepting()


# ------------------------------------------------------------------------------------------------ the tests

CHECKS = {"walks": check_walks, "instances": check_instances}
ANY_HEALTH = list(HealthCheck)


@pytest.mark.parametrize("focus", FOCI)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=FAST_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=ANY_HEALTH)
@given(data=st.data())
def test_schemas_mean_what_the_judge_says(check: Callable, focus: str, data: st.DataObject):
    check(data, focus)


@pytest.mark.slow
@pytest.mark.parametrize("focus", FOCI)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=SLOW_EXAMPLES, deadline=None, print_blob=True, suppress_health_check=ANY_HEALTH)
@given(data=st.data())
def test_many_schemas_mean_what_the_judge_says(check: Callable, focus: str, data: st.DataObject):
    check(data, focus)


# What the drawing above finds is kept here, as (schema, valid texts, invalid texts).
FOUND: list[tuple[Any, list[str], list[str]]] = [
    ({"type": "integer", "minimum": 0}, ["10.0", "12345678901234567890", "-0.0"], ["0.5", "-1", "true"]),
]


@pytest.mark.parametrize(("schema", "valid", "invalid"), FOUND, ids=[json.dumps(case[0])[:60] for case in FOUND])
def test_what_was_found_once_stays_mended(schema, valid, invalid):
    own, free, ordered = judge(schema, formats=True), read(schema, "any", BYTES), read(schema, "schema", BYTES)
    assert free is not None and ordered is not None
    for texts, expected in ((valid, True), (invalid, False)):
        for text in texts:
            assert own.accepts(text) is expected
            compare(schema, own, free, ordered, text)
