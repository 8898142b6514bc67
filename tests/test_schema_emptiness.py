"""What is told of a schema at sight, and without looking twice, is what a search finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bridle
from bridle.grammar import schema_values
from bridle.grammar.schema_scan import SchemaScan
from bridle.grammar.schema_values import SchemaValues
from schema_strategies import DRAFTS, FOCI, schemas


def is_empty(schema) -> bool:
    scan = SchemaScan(schema, formats="assert")
    values = SchemaValues(scan)
    return values.is_empty(values.conjunction([(schema, scan.contexts.root)]))


@pytest.mark.parametrize("focus", FOCI)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_plainly_has_a_value_has_one(focus, data):
    draft = data.draw(st.sampled_from(sorted(DRAFTS)))
    schema = data.draw(schemas(draft, focus))
    try:
        at_sight = is_empty(schema)
    except bridle.BridleError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema_values, "plainly_has_value", lambda *_: False)
        try:
            assert is_empty(schema) == at_sight
        except bridle.LimitError:
            assert not at_sight


@pytest.mark.parametrize(
    ("schema", "empty"),
    [
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, True),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "required": ["a"], "additionalProperties": {"type": "string", "enum": [1]}}, True),
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "minLength": 2, "maxLength": 1}}},
         True),
        ({"type": "object", "required": ["\ud800"]}, True),
        ({"type": "string", "enum": ["\ud800"]}, True),
        ({"type": ["string", "null"], "enum": ["\ud800"]}, True),
        ({"type": ["string", "null"], "const": "a"}, False),
        ({"type": "array", "minItems": 1, "items": False}, True),
        ({"enum": [], "type": "string"}, True),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
          "properties": {"a": {"required": True, "type": "string", "enum": [1]}}}, True),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["a"],
          "properties": {"a": {"type": "string", "const": 1}}}, False),
        ({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}, True),
        ({"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
         False),
        ({"required": ["a"], "properties": {"a": False}}, False),
        ({"type": "integer", "minimum": 0.2, "maximum": 0.8}, True),
    ],
)  # fmt: skip
def test_emptiness_of_written_cases(schema, empty):
    assert is_empty(schema) is empty
