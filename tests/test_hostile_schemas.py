"""Ten families of schemas made to hurt: each ends within seconds and memory bounds, enforced or refused by name."""

from __future__ import annotations

import resource
import time

import pytest

import bridle


def _nested(depth, wrap):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = wrap(schema)
    return schema


def exponential_one_of():
    """Overlapping alternatives of overlapping members: 2^40 combinations."""
    return {"oneOf": [{"properties": {f"m{i}": {"minimum": i}, f"n{i}": {"maximum": i}}} for i in range(40)]}


def one_of_tower():
    """oneOf in oneOf, thirty deep, nothing disjoint."""
    return _nested(30, lambda inner: {"oneOf": [{"minLength": 1, "not": {"const": "x"}}, inner]})


def large_enum():
    return {"enum": [f"value number {i:05d} of a long list" for i in range(10_000)]}


def four_megabytes():
    one = {"type": "object", "properties": {f"property{i}": {"type": "string"} for i in range(20)}}
    return {"properties": {"first": {"$ref": "#/$defs/d0"}, "all": {"anyOf": [{"$ref": f"#/$defs/d{i}"} for i in
            range(100)]}}, "$defs": {f"d{i}": one for i in range(4500)}}  # fmt: skip


def depth_1000():
    return _nested(1000, lambda inner: {"type": "object", "properties": {"a": inner}, "required": ["a"]})


def depth_1000_in_place():
    return _nested(1000, lambda inner: {"allOf": [inner]})


def reference_loops():
    return {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"oneOf": [{"$ref":
            "#/$defs/a"}, {"not": {"$ref": "#/$defs/b"}}]}}}  # fmt: skip


def long_text():
    return {"type": "string", "minLength": 10**5, "maxLength": 10**6}


def long_pattern():
    return {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$", "maxLength": 10**6}


def nested_quantifiers():
    return {"type": "string", "pattern": "^((((a{1,99}){1,99}){1,99}){1,99}|(x+x+)+y)$"}


def many_optional_members():
    return {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(300)}, "minProperties": 150}


def all_of_200():
    return {"allOf": [{"properties": {f"p{i}": {"minimum": i}, "shared": {"minimum": i}}, "required": [f"p{i}"]}
            for i in range(200)]}  # fmt: skip


def any_of_1000():
    return {"anyOf": [{"type": "object", "properties": {"kind": {"const": f"k{i}"}, f"p{i}": {"type": "integer"}},
            "required": ["kind"]} for i in range(1000)]}  # fmt: skip


def unevaluated_any_of():
    return {"anyOf": [{"properties": {f"p{i}": {}}} for i in range(30)], "unevaluatedProperties": False}


def overlapping_patterns():
    return {"patternProperties": {f"{a}{b}": {"minimum": i} for i, (a, b) in enumerate(
            (a, b) for a in "abcdef" for b in "uvwxyz")}}  # fmt: skip


FAMILIES = [exponential_one_of, one_of_tower, large_enum, four_megabytes, depth_1000, depth_1000_in_place,
            reference_loops, long_text, long_pattern, nested_quantifiers, many_optional_members, all_of_200,
            any_of_1000, unevaluated_any_of, overlapping_patterns]  # fmt: skip

_SECONDS, _MEGABYTES = 2.0, 500


def first_steps(schema):
    """What a server does with a stranger's schema: compile, a mask, a few tokens."""
    vocabulary = bridle.Vocabulary([*(bytes((b,)) for b in range(256)), b'{"', b'":', b"", ], stop_token_ids=[258])
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_json_schema(schema), vocabulary))
    bitmask = bridle.allocate_token_bitmask(1, vocabulary.size)
    for _ in range(12):
        matcher.fill_next_token_bitmask(bitmask, 0)
        allowed = [i for i in range(258) if bitmask[0, i // 32] >> (i % 32) & 1]
        if not allowed or not matcher.accept_token(allowed[len(allowed) // 2]):
            break


@pytest.mark.parametrize("family", FAMILIES, ids=[family.__name__ for family in FAMILIES])
def test_a_hostile_schema_ends_in_time_and_memory(family):
    schema = family()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    try:
        first_steps(schema)
    except bridle.BridleError as error:
        assert str(error)
    assert time.process_time() - start < _SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MEGABYTES * 1024


def test_emptiness_of_recursive_schemas_is_found_within_the_budget():
    """A search that looked again at what it had not found would take for ever here."""
    schema = {
        "type": ["null", "boolean", "array"],
        "unevaluatedItems": {
            "patternProperties": {"^.$": {"type": "object"}, "^a": {"type": ["array", "object", "number"]}},
            "contains": {"exclusiveMaximum": 1.5, "multipleOf": 0.1},
            "maxContains": 3,
        },
        "unevaluatedProperties": False,
        "contains": {"format": "uri-template", "$ref": "#"},
        "minContains": 0,
        "maxContains": 3,
        "multipleOf": 1,
    }
    grammar = bridle.Grammar.from_json_schema(schema)
    assert bridle.validate(grammar, "[]").ok
