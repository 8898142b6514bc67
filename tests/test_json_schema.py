"""The JSON Schema front end: what it refuses and how, options, drafts, values judged beside the jsonschema package."""

from __future__ import annotations

import gc
import json
import random
import time
import weakref

import jsonschema
import pytest

import bridle
from oracle import allowed_tokens, vocabulary_of

# What is not enforced: (schema, pointer, keyword).
REFUSED = [
    ({"items": {"uniqueItems": True}}, "/items", "uniqueItems"),
    ({"uniqueItems": True, "items": {"type": "object"}}, "", "uniqueItems"),
    ({"$ref": "https://example.com/other.json"}, "", "$ref"),
    ({"anyOf": [{"type": "string", "pattern": "(a)\\1"}]}, "/anyOf/0", "pattern"),
    ({"$schema": "https://example.com/my-dialect", "type": "string"}, "", "$schema"),
    ({"properties": {"a/b": {"disallow": "string"}}}, "/properties/a~1b", "disallow"),
    ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"pattern": "(a)\\1"}}}, "/$defs/x", "pattern"),
    # Items that are not under it are under its complement, which has to compare as well.
    ({"contains": {"type": "null", "uniqueItems": True}}, "/contains", "uniqueItems"),
    ({"type": "string", "pattern": "^(?:.*a.{14}){1}$"}, "", "pattern"),
]


@pytest.mark.parametrize(("schema", "pointer", "keyword"), REFUSED)
def test_what_is_not_enforced_is_refused_by_pointer_and_keyword(schema, pointer, keyword):
    with pytest.raises(bridle.UnsupportedError) as caught:
        bridle.Grammar.from_json_schema(schema)
    assert (caught.value.pointer, caught.value.keyword) == (pointer, keyword)
    assert caught.value.reason
    reported = bridle.Grammar.from_json_schema(schema, on_unsupported="report")
    assert [(gap.pointer, gap.keyword) for gap in reported.unenforced] == [(pointer, keyword)]


def test_all_gaps_are_named_at_once():
    schema = {"properties": {"a": {"disallow": 1}, "b": {"pattern": "(a)\\1"}}}
    with pytest.raises(bridle.UnsupportedError) as caught:
        bridle.Grammar.from_json_schema(schema)
    assert "/properties/a" in str(caught.value)
    assert "/properties/b" in str(caught.value)


def test_what_is_under_a_count_with_a_maximum_is_given_up_with_it():
    schema = {"contains": {"pattern": "(a)\\1"}, "maxContains": 1}
    reported = bridle.Grammar.from_json_schema(schema, on_unsupported="report")
    assert [(gap.pointer, gap.keyword) for gap in reported.unenforced] == [
        ("/contains", "pattern"),
        ("/contains", "contains"),
    ]
    assert bridle.validate(reported, '["b", "b"]').ok


def test_what_stands_under_a_complement_is_given_up_with_it():
    schema = {"properties": {"a": {"not": {"items": {"pattern": "(a)\\1"}}}}, "required": ["a"]}
    reported = bridle.Grammar.from_json_schema(schema, on_unsupported="report")
    assert [(gap.pointer, gap.keyword) for gap in reported.unenforced] == [
        ("/properties/a/not/items", "pattern"),
        ("/properties/a/not", "not"),
    ]
    assert bridle.validate(reported, '{"a": ["b"]}').ok
    assert not bridle.validate(reported, "{}").ok


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "uniqueItems": True, "multipleOf": 2, "minProperties": 2},
        {"uniqueItems": False, "patternProperties": {}, "dependentRequired": {}, "propertyNames": True},
        {"type": "object", "required": ["a", "b"], "minProperties": 2},
        {"if": {"type": "string"}},
        {"type": "string", "format": "my-own-format"},
        {"$defs": {"unused": {"pattern": "(a)\\1"}}},
        {"x-vendor": {"disallow": {}}, "default": {"oneOf": 1}, "examples": [{"not": 1}]},
    ],
)
def test_what_asserts_nothing_here_is_not_refused(schema):
    assert bridle.Grammar.from_json_schema(schema).unenforced == ()


# Malformed: (schema, pointer, part of the message).
MALFORMED = [
    ({"type": "strin"}, "/type", "'strin' is not a type"),
    ({"properties": []}, "/properties", "an object of schemas"),
    ({"items": {"minLength": -1}}, "/items/minLength", "non-negative"),
    ({"required": "a"}, "/required", "array of strings"),
    ({"anyOf": []}, "/anyOf", "non-empty"),
    ({"properties": {"a": 3}}, "/properties/a", "an object or a boolean"),
    ({"$ref": "#/$defs/none"}, "/$ref", "leads nowhere"),
    ({"pattern": "(a"}, "/pattern", "malformed pattern"),
    ({"minimum": "1"}, "/minimum", "a number"),
    ({"dependentSchemas": {1: 2}}, "/dependentSchemas", "names are strings"),
]


@pytest.mark.parametrize(("schema", "pointer", "message"), MALFORMED)
def test_malformed_schemas_are_errors_with_their_place(schema, pointer, message):
    with pytest.raises(bridle.GrammarError, match=r".*") as caught:
        bridle.Grammar.from_json_schema(schema)
    assert not isinstance(caught.value, bridle.UnsupportedError)
    assert caught.value.pointer == pointer
    assert message in str(caught.value)


def nested(keyword, depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {keyword: [schema]}
    return schema


# Input of strangers: whatever it is, the answer is one of bridle's errors, at once.
HOSTILE = [
    nested("allOf", 2000), nested("anyOf", 2000), "[" * 100_000, '{"items":' * 50_000, '{"const": NaN}',
    '{"maximum": Infinity}',
    {"maximum": float("inf")}, {"minimum": float("nan")}, '{"maximum": 1e999999}', '{"const": 1e99999999}',
    '{"minimum": 1e-99999999}', '{"maximum": 1e9999999999999999999}', '{"maximum": ' + "9" * 5000 + "}",
    {"maxLength": float("inf")}, {"minItems": 2**40}, {"pattern": "a", "type": 3},
    {"pattern": "a", "minLength": "x"},
    {"format": []}, {"properties": {1: {}}}, {"const": (1, 2)}, {"const": {1: 2}}, {"$ref": "#/anyOf/²"},
    {"type": "object", "required": ["\ud800"]}, {"const": "\ud800"},
    {"enum": list(range(100_000))}, {"type": ["string", 3]}, "{", b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("schema", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_schemas_are_refused_at_once_by_bridles_own_errors(schema):
    start = time.perf_counter()
    with pytest.raises(bridle.BridleError):
        bridle.Grammar.from_json_schema(schema)
    assert time.perf_counter() - start < 5


def test_bounds_beyond_any_text_are_none():
    grammar = bridle.Grammar.from_json_schema({"items": {"maxLength": 2**40}, "maxItems": 2**32 + 1})
    assert bridle.validate(grammar, '["aaa", "b", "c"]').ok


def test_constants_that_no_text_can_spell_are_left_out():
    grammar = bridle.Grammar.from_json_schema({"enum": ["\ud800", "a"], "properties": {"\udfff": {}}})
    assert bridle.validate(grammar, '"a"').ok


def test_keywords_that_a_draft_does_not_know_are_annotations_there():
    named = "http://json-schema.org/draft-04/schema#"
    assert bridle.validate(bridle.Grammar.from_json_schema({"$schema": named, "const": 1}), "2").ok
    assert bridle.validate(bridle.Grammar.from_json_schema({"$schema": named, "exclusiveMinimum": 5}), "2").ok
    seven = {"$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [False]}
    assert bridle.validate(bridle.Grammar.from_json_schema(seven), "[2]").ok


def test_a_name_that_comes_twice_in_a_schema_is_an_error():
    with pytest.raises(bridle.GrammarError, match="'minimum' comes twice"):
        bridle.Grammar.from_json_schema('{"items": {"minimum": 1, "maximum": 2, "minimum": 3}}')


@pytest.mark.parametrize(
    "options",
    [*({"resources": wrong} for wrong in ({1: {}}, {"a": {}}, {"http://a#b": {}}, [])), {"max_whitespace": True}],
    ids=str,
)
def test_options_of_a_wrong_kind_are_errors(options):
    with pytest.raises(ValueError, match=r"resources|max_whitespace"):
        bridle.Grammar.from_json_schema(True, **options)


def test_schema_text_that_is_not_json_shows_line_and_column():
    with pytest.raises(bridle.GrammarError, match="line 2, column 3"):
        bridle.Grammar.from_json_schema('{"type":\n  nul}')


EMPTY = [
    False,
    {"type": "object", "required": ["a"], "properties": {"a": False}},
    {"type": "object", "required": ["a"], "additionalProperties": False},
    {"type": "array", "items": False, "minItems": 1},
    {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "required": ["n"],
     "properties": {"n": {"$ref": "#/$defs/n"}}}}},
    {"type": "integer", "minimum": 1.2, "maximum": 1.8},
    {"type": "string", "enum": [1, 2]},
    {"type": "string", "pattern": "^aaa$", "maxLength": 2},
    {"type": "string", "minLength": 3, "maxLength": 2},
    {"const": 1, "enum": [2, 3]},
    {"anyOf": [{"$ref": "#"}]},
    {"allOf": [{"type": "string"}, {"type": "number"}]},
]  # fmt: skip


@pytest.mark.parametrize("schema", EMPTY, ids=[json.dumps(schema)[:50] for schema in EMPTY])
def test_a_schema_that_nothing_satisfies_is_an_error_at_once(schema):
    with pytest.raises(bridle.UnsatisfiableError):
        bridle.Grammar.from_json_schema(schema)


def test_an_empty_required_part_is_named():
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "object", "required": ["b"],
              "properties": {"b": False}}}}  # fmt: skip
    with pytest.raises(bridle.UnsatisfiableError, match="/a/b"):
        bridle.Grammar.from_json_schema(schema)


# (schema, valid instances, invalid instances).
JUDGED = [
    ({"type": "integer"}, [0, -5, 10**30], [1.5, "1", True]),
    ({"const": 1}, [1, 1.0], [True, 2, "1"]),
    ({"enum": [[1, {"a": None}], "x"]}, [[1, {"a": None}], "x"], [[1], {"a": None}]),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}, [2, "a"], [1]),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}], "additionalItems": False},
     [[], [None]], [[None, None], [1]]),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "type": "null",
      "definitions": {"a": {"type": "string"}}}, ["x"], [None, 1]),
    ({"$ref": "#/$defs/a", "maxLength": 1, "$defs": {"a": {"type": "string"}}}, ["", "x"], ["xx", 1]),
    ({"type": "object", "properties": {"a": {"type": "string"}}, "allOf": [{"required": ["a"]}, {"properties": {"a":
      {"maxLength": 2}}}]}, [{"a": "xx"}], [{}, {"a": "xxx"}, {"a": 1}]),
    ({"additionalProperties": {"type": "null"}, "properties": {"a": {"type": "integer"}}}, [{"a": 1, "b": None}, 3],
     [{"b": 1}, {"a": None}]),
    ({"minLength": 2}, ["😀😀", 1, None], ["😀", "a"]),
    ({"pattern": "^\\S+$"}, ["ab", "é"], ["a b", ""]),
    # A member that an alternative wants and that can have no value leaves no object of that alternative.
    ({"oneOf": [{"patternProperties": {"a": {"maximum": 40}}}, {"patternProperties": {"a": {"maximum": 30}}}]},
     [{"a": 40}, {"b": 0, "xa": 31}], [{}, {"a": 30}, {"a": None}, {"a": 41}, 1]),
    # An alternative that is implied absorbs the others, but not where it is the complement itself that says so.
    ({"type": "integer", "$ref": "#/$defs/a", "$defs": {"a": {"not": {"const": 169}}}}, [1, 170], [169, 169.0, "a"]),
    ({"required": ["type"], "oneOf": [
      {"properties": {"type": {"const": "a"}, "x": {"type": "null"}}, "required": ["x"]},
      {"properties": {"type": {"const": "b"}, "y": {"type": "null"}}, "required": ["y"]}]},
     [{"type": "a", "x": None}, {"type": "b", "y": None}, {"type": "a", "x": None, "y": None}],
     [{"type": "a", "y": None}, {"type": "c", "x": None, "y": None}, {"type": "b", "x": None}]),
    # What a draft ignores is no fact of a member: "const" in draft 4, whatever stands beside "$ref" up to draft 7.
    ({"$schema": "http://json-schema.org/draft-04/schema#", "required": ["a"], "allOf": [
      {"properties": {"a": {"const": 1}}}, {"properties": {"a": {"const": 2, "enum": [1, 3]}}}]},
     [{"a": 1}, {"a": 3}], [{"a": 2}, {}]),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"i": {"type": "integer"}}, "oneOf": [
      {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/definitions/i", "const": 1}}},
      {"type": "object", "required": ["a"], "properties": {"a": {"const": 2}}}]},
     [{"a": 1}, {"a": 3}], [{"a": 2}, {"a": "x"}, {}]),
    ({"not": {"additionalProperties": False, "properties": {"a": True}}, "properties": {"b": {"type": "null"}},
      "additionalProperties": False}, [{"b": None}], [{}, {"a": 1}, {"b": 1}, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "valid", "invalid"), JUDGED, ids=[json.dumps(case[0])[:60] for case in JUDGED])
def test_values_are_judged_as_the_standard_says(schema, valid, invalid):
    grammar = bridle.Grammar.from_json_schema(schema)
    for instances, expected in ((valid, True), (invalid, False)):
        for instance in instances:
            for text in (json.dumps(instance), json.dumps(instance, ensure_ascii=False, indent=2) + "\n"):
                assert bridle.validate(grammar, text).ok is expected, text


def test_validate_reads_members_in_any_order_and_says_where_a_text_goes_wrong():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "null"}}},
    }
    grammar = bridle.Grammar.from_json_schema(schema)
    assert bridle.validate(grammar, '{"b": [], "a": 1}').ok
    assert not bridle.validate(grammar, '{"b": [], "a": 1}', as_generated=True).ok
    verdict = bridle.validate(grammar, '{"a": 1,\n "b": [null, 3]}')
    assert (verdict.ok, verdict.line, verdict.column, verdict.place) == (False, 2, 14, "/b/1")
    assert "'n'" in verdict.expected


def test_decimals_of_a_schema_text_stay_exact():
    grammar = bridle.Grammar.from_json_schema('{"const": 0.1000000000000000055511151231257827}')
    assert bridle.validate(grammar, "0.1000000000000000055511151231257827").ok
    assert not bridle.validate(grammar, "0.1").ok


WALKED = [
    {"type": "object", "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 8},
     "age": {"type": "integer", "minimum": 0, "maximum": 150}, "tags": {"type": "array", "items": {"enum": ["a", "b",
     1.5]},
     "minItems": 1, "maxItems": 3}}, "required": ["name", "tags"], "additionalProperties": False},
    {"anyOf": [{"type": "object", "properties": {"k": {"const": "x"}, "v": {"type": "number", "exclusiveMinimum": 2}},
     "required": ["k", "v"], "additionalProperties": False}, {"type": "array", "prefixItems": [{"type": "boolean"}],
     "items": {"type": "null"}, "minItems": 2, "maxItems": 3}]},
    {"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"l": {"anyOf": [{"$ref": "#/$defs/t"},
     {"type": "null"}]}, "v": {"type": "string", "pattern": "^[a-c]{2,4}$"}}, "required": ["l", "v"],
     "additionalProperties": False}}},
]  # fmt: skip


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("schema", WALKED)
def test_random_walks_write_values_that_the_jsonschema_package_accepts(schema, order):
    tokens = [bytes((b,)) for b in range(32, 127)] + [
        b'{"',
        b'": ',
        b'", "',
        b'":',
        b'"}',
        b"null",
        b"true",
        b"aa",
        b"12",
    ]
    grammar = bridle.Grammar.from_json_schema(schema, property_order=order, max_whitespace=1)
    vocabulary = vocabulary_of(tokens)
    compiled = bridle.compile(grammar, vocabulary)
    finished = 0
    for seed in range(25):
        rng = random.Random(seed)
        matcher, text = bridle.Matcher(compiled), b""
        while not matcher.is_terminated() and len(text) < 600:
            allowed = sorted(allowed_tokens(matcher))
            assert allowed, f"dead end after {text!r}"
            closing = [k for k in allowed if vocabulary.tokens[k] in (b"", b'"', b"}", b"]", b"null", b'"}')]
            token = rng.choice(closing if closing and (len(text) > 40 or rng.random() < 0.3) else allowed)
            assert matcher.accept_token(token)
            text += vocabulary.tokens[token]
        if matcher.is_terminated():
            finished += 1
            jsonschema.validate(json.loads(text), schema, cls=jsonschema.Draft202012Validator)
    assert finished >= 10


def test_options_with_wrong_values_are_errors_that_list_the_right_ones():
    with pytest.raises(ValueError, match="'schema', 'any'"):
        bridle.Grammar.from_json_schema(True, property_order="sorted")
    with pytest.raises(ValueError, match="max_whitespace"):
        bridle.Grammar.from_json_schema(True, max_whitespace=-1)


def test_a_grammar_is_freed_with_its_last_user_without_the_collector():
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/node"}, "b": {"type": "array", "items": {"enum": [1, [2], {"c": 3}]}}},
        "$defs": {"node": {"anyOf": [{"type": "null"}, {"properties": {"next": {"$ref": "#/$defs/node"}}}]}},
        "additionalProperties": {"contains": {"const": 1}, "type": "array"},
    }
    vocabulary = vocabulary_of([b'{"a":', b'"b":', b"[", b'"x":', b"1", b"]", b"}", b",", b"null"])
    gc.collect()
    gc.disable()
    try:
        compiled = bridle.compile(bridle.Grammar.from_json_schema(schema), vocabulary)
        for text in (b'{"a":null,"b":[1,[2]],"x":[1]}', b'{"a":{"next":{"next":null}}}'):
            matcher = bridle.Matcher(compiled)
            assert matcher.accept_bytes(text), text
        states = weakref.ref(compiled.grammar.root.states)
        del compiled, matcher
        assert states() is None, [type(holder) for holder in gc.get_referrers(states())]
    finally:
        gc.enable()
