"""Masks of JSON schemas against the oracle that tries every token: hand-written cases, then drawn ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
import naive
import strategies
from oracle import allowed_tokens, compare, vocabulary_of

# Tokens that cross every structural boundary, whole and partial characters, and runs of white space.
TOKENS = [bytes((b,)) for b in range(256)] + [
    b'{"', b'":', b'": ', b'",', b'", "', b'","', b'"}', b'"]', b"},", b"}}", b"]}", b"[[", b"[{", b'[{"', b": [",
    b': "',
    b'":"', b'":1,"', b'":1}', b"1,", b"12", b"1.0", b".5", b"-1", b"null", b"true", b"fal", b"alse,", b"  ", b"    ",
    b"\n  ", b'\n "', b"\\u", b"\\u00", b"\\u0061", b'\\"', b"\\\\", b"\\ud83d", b"\\ude00", b'a"', b"ab", b'ab":',
    b'{"a',
    b'{"a":', b'"a": ', b'b":', b"\xc3\xa9", b'\xa9"', b"\xf0\x9f\x98", b'\x80"', b'x","x', b'x":1,"x', b"aaaa",
    b'aaa"',
]  # fmt: skip

CASES = [
    (True, ['{"a": [1, {"b": null}], "a": 2}', '[[], {}, "\\ud83d\\ude00", -1.5e+3 ]', '" "']),
    ({"type": "object", "properties": {"a": {"type": "string"}, "ab": {"type": "integer"}}, "required": ["ab"],
      "additionalProperties": False}, ['{"a":"x", "ab":12}', '{"\\u0061b":1.0}', '{"ab": 1, "a": "x"}']),
    ({"properties": {"a": False, "b": {"const": "é"}}, "additionalProperties": {"type": "boolean"}},
     ['{"b":"\\u00e9","x":true,"y":false,"x":true}', '{"\\u0061a": true, "a": true}', '[1]']),
    ({"type": "array", "prefixItems": [{"type": "null"}, {"enum": [1, "a"]}], "items": {"type": "number"},
      "minItems": 2, "maxItems": 4}, ["[null, 1, 2.5, 3, 4]", '[null,"a"]', "[null]"]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ['"\\ud83d\\ude00é"', '"abcd"', '"a"', '"\\n\\n\\n"']),
    ({"type": "string", "pattern": "^(ab|é)+$"}, ['"ab\\u00e9ab"', '"aab"']),
    ({"type": "string", "pattern": "b", "maxLength": 4}, ['"aab"', '"aaaab"']),
    ({"type": "integer", "minimum": -3, "exclusiveMaximum": 120}, ["-3", "119.0", "120", "-0"]),
    ({"type": ["number", "null"], "exclusiveMinimum": 0.5, "maximum": 12.25}, ["0.5", "0.501", "12.250", "null"]),
    ({"enum": [{"a": [1, None]}, "ab", "abc", 1.5, True]}, ['{"a": [1.0, null]}', '"abc"', "1.50", "true"]),
    ({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"v": {"type": "integer"},
      "c": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["v"], "additionalProperties": False}}},
     ['{"v":1,"c":[{"v":2,"c":[]},{"v":3}]}', '{"c":[]}']),
    ({"anyOf": [{"type": "object", "properties": {"k": {"const": "a"}, "x": {"type": "integer"}},
      "required": ["k", "x"]},
                {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"]}, {"type": "string"}]},
     ['{"k":"a","x":1}', '{"k": "b", "x": "y"}', '"k"', '{"k":"a"}']),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
     ['{"a":1}', '{"b":1}', '{"a":1,"b":2}', "{}"]),
    ({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["b"]},
     ['{"a":1,"c":2}', '{"b":1,"c":[]}']),
]  # fmt: skip


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("whitespace", ["json", "compact"])
@pytest.mark.parametrize(("schema", "texts"), CASES, ids=[json.dumps(schema)[:60] for schema, _ in CASES])
def test_masks_equal_the_oracles(schema, texts, order, whitespace):
    options = {"property_order": order, "whitespace": whitespace, "max_whitespace": 3}
    oracle = naive.json_schema(schema, **options)
    compiled = bridle.compile(bridle.Grammar.from_json_schema(schema, **options), vocabulary_of(TOKENS))
    for text in texts:
        compare(compiled, oracle, text.encode())
        if whitespace == "compact":
            compare(compiled, oracle, text.replace(" ", "").encode())


def test_a_name_that_is_being_spelled_by_an_escape_keeps_its_own_value():
    schema = {"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "integer"}}
    tokens = [b'1":null', b'1":1', b'2":null', b'2":1', b'u0061":n', b"1", b'"']
    compiled = bridle.compile(bridle.Grammar.from_json_schema(schema), vocabulary_of(tokens))
    matcher = bridle.Matcher(compiled)
    assert matcher.accept_bytes('{"\\u006')
    assert {tokens[k] for k in allowed_tokens(matcher)} == {b'1":null', b'2":1', b"1"}


CROSSING = [
    *TOKENS, b'1":null', b'1":1', b'61":', b'u0061":', b'"a":1,"a":', b'":{"a":{"', b"[[[[]]]]", b'x":{"x":[]}}',
]  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_masks_of_drawn_schemas_equal_accepting_every_token(data):
    schema = data.draw(strategies.json_schemas())
    order = data.draw(st.sampled_from(["schema", "any"]))
    try:
        grammar = bridle.Grammar.from_json_schema(schema, property_order=order)
    except bridle.UnsatisfiableError:
        return
    compiled = bridle.compile(grammar, vocabulary_of(CROSSING))
    text = data.draw(strategies.json_spellings(data.draw(strategies.instances(schema))))
    matcher = bridle.Matcher(compiled)
    for byte in [b"", *(bytes((b,)) for b in (text if isinstance(text, bytes) else text.encode())[:60])]:
        if byte and not matcher.accept_bytes(byte):
            return
        accepted = {k for k in range(compiled.vocabulary.size) if matcher.fork().accept_token(k)}
        assert allowed_tokens(matcher) == accepted


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_masks_of_drawn_schemas_equal_the_oracles(data):
    schema = data.draw(strategies.json_schemas())
    order = data.draw(st.sampled_from(["schema", "any"]))
    oracle = naive.json_schema(schema, property_order=order, max_whitespace=3)
    try:
        grammar = bridle.Grammar.from_json_schema(schema, property_order=order, max_whitespace=3)
    except bridle.UnsatisfiableError:
        assert not oracle.is_prefix(b"")
        return
    assert oracle.is_prefix(b""), "the engine did not see that nothing satisfies this schema"
    vocabulary = vocabulary_of(list(data.draw(strategies.token_sets(every_byte=True))))
    text = data.draw(strategies.json_spellings(data.draw(strategies.instances(schema))))
    compare(bridle.compile(grammar, vocabulary), oracle, text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(("schema", "texts"), CASES, ids=[json.dumps(schema)[:60] for schema, _ in CASES])
def test_random_walks_end_in_sentences(schema, texts):
    compiled = bridle.compile(bridle.Grammar.from_json_schema(schema, max_whitespace=1), vocabulary_of(TOKENS))
    oracle = naive.json_schema(schema, max_whitespace=1)
    import random

    for seed in range(4):
        rng = random.Random(seed)
        matcher, text = bridle.Matcher(compiled), b""
        while not matcher.is_terminated() and len(text) < 400:
            allowed = sorted(allowed_tokens(matcher))
            assert allowed, f"dead end after {text!r}"
            stop = compiled.vocabulary.stop_token_ids[0]
            closing = [k for k in allowed if k == stop or compiled.vocabulary.tokens[k] in (b'"', b"}", b"]")]
            token = rng.choice(closing if closing and len(text) > 60 else allowed)
            assert matcher.accept_token(token)
            text += compiled.vocabulary.tokens[token]
        if matcher.is_terminated():
            assert oracle.accepts(text), text
