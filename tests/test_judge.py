"""The judge against the standard's own suite and against Node's regular expressions."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from referencing import Registry
from referencing.jsonschema import specification_with

import schema_strategies
from judge import Judge, Undecided, judge, parse, registry_of

SUITE = Path(__file__).resolve().parents[2] / "shared" / "data" / "json-schema-test-suite"
DRAFTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}


# A metaschema of one's own switches validation off; neither the judge nor bridle reads one.
KNOWN = [
    (
        "vocabulary",
        "schema that uses custom metaschema with with no validation vocabulary",
        "no validation: invalid number, but it still validates",
    )
]


def remotes(draft: str) -> Registry:
    """The documents that the suite expects at http://localhost:1234/."""
    folder = SUITE / "remotes"
    return registry_of(
        {
            f"http://localhost:1234/{path.relative_to(folder).as_posix()}": json.loads(path.read_text())
            for path in folder.rglob("*.json")
        },
        specification_with(DRAFTS[draft]),
    )


def disagreements(draft: str, pattern: str, formats: bool) -> tuple[int, list[tuple[str, str, str]]]:
    """How many tests there are, and (file, group, test) of those on which the judge differs."""
    if not SUITE.is_dir():
        pytest.skip("the JSON-Schema-Test-Suite is not there")
    registry, total, found = remotes(draft), 0, []
    for path in sorted((SUITE / draft).glob(pattern)):
        for group in json.loads(path.read_text()):
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": DRAFTS[draft], **schema}
            own = Judge(schema, formats=formats, registry=registry)
            for test in group["tests"]:
                total += 1
                try:
                    agrees = own.accepts(json.dumps(test["data"])) == test["valid"]
                except Undecided as error:
                    agrees = False
                    print(error)
                if not agrees:
                    found.append((path.stem, group["description"], test["description"]))
                    print(found[-1], ascii(test["data"]), test["valid"])
    return total, found


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_judge_agrees_with_the_required_suite(draft):
    total, found = disagreements(draft, "*.json", False)
    assert total > 500
    assert [case for case in found if case not in KNOWN] == []


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_judge_agrees_with_the_suites_formats(draft):
    total, found = disagreements(draft, "optional/format/*.json", True)
    assert total > 400
    assert found == []


# (schema, valid texts, invalid texts): what the package alone gets wrong, and what bridle's writing needs.
JUDGED = [
    ({"multipleOf": 0.01}, ["4.02", "1e400", "0", '"x"'], ["4.021", "1e-3"]),
    ({"multipleOf": 1e300}, ["3e300", "1e100000"], ["1e299", "5"]),
    ({"type": "integer"}, ["1.0", "1e2", "12345678901234567890", "-0"], ["1.5", "1e-1", "true", '"1"']),
    ({"type": "number"}, ["1", "1.5"], ["true", "false"]),
    ({"const": 1}, ["1", "1.0", "10e-1"], ["true", "2"]),
    ({"enum": [[0, {"a": False}]]}, ['[0, {"a": false}]'], ['[false, {"a": false}]', '[0, {"a": 0}]']),
    ({"uniqueItems": True}, ["[1, true, [1], [true], {}]", "1"], ["[1, 1.0]", '[{"a":1,"b":2},{"b":2,"a":1}]']),
    ({"minLength": 2}, ['"😀😀"', '"\\ud83d\\ude00a"'], ['"😀"', '"\\ud83d\\ude00"']),
    (True, ['{"a": {"a": 1}}'], ['{"a": 1, "a": 1}', '"\\ud800"', "NaN", "[1,]", "1 2", "01", ""]),
    ({"pattern": "^\\d$"}, ['"1"'], ['"٣"', '"1\\n"']),
    ({"pattern": "^[\\w-.]+$"}, ['"a-."'], ['"é"']),
    ({"patternProperties": {"^.$": {"type": "null"}, "a": False}, "additionalProperties": False},
     ['{"😀": null}', "{}"], ['{"b": 1}', '{"a": null}', '{"bb": null}']),
    ({"items": [{"type": "null"}], "additionalItems": False}, ["[null]", "[]"], ["[1]", "[null, null]"]),
    ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
     ['{"a":1,"b":1}', '{"c":1,"d":1}'], ['{"a":1}', '{"c":1}']),
    ({"$schema": "http://json-schema.org/draft-04/schema", "type": "any", "required": True, "minimum": 1,
      "exclusiveMinimum": True}, ["2", "{}"], ["1"]),
    ({"$schema": "https://json-schema.org/draft/2019-09/schema", "contains": {"const": 1}, "unevaluatedItems": False},
     ["1"], ["[1]"]),
    ({"$schema": "https://json-schema.org/draft/2019-09/schema", "additionalProperties": {"type": "null"},
      "unevaluatedProperties": False}, ['{"x": null}'], ['{"x": 1}']),
    ({"contains": {"const": 1}, "unevaluatedItems": False}, ["[1, 1]"], ["[1, 2]"]),
    ({"anyOf": [{"properties": {"a": {"type": "null"}}}, {"properties": {"b": True}}], "unevaluatedProperties": False},
     ['{"a": null, "b": 1}', '{"b": 1}'], ['{"a": 1, "b": 1}', '{"c": 1}']),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "valid", "invalid"), JUDGED, ids=[json.dumps(case[0])[:60] for case in JUDGED])
def test_the_judge_is_exact_where_the_package_is_not(schema, valid, invalid):
    for text in valid:
        assert judge(schema).complaint(text) is None, text
    for text in invalid:
        assert judge(schema).complaint(text) is not None, text


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"}, {"pattern": "("}, {"$ref": "https://example.com/a"}, {"minimum": "x"}, {"properties": 3},
        {"$ref": "#/$defs/x"}, {"anyOf": [{"$ref": "#"}]},
    ],
)  # fmt: skip
def test_what_has_no_answer_is_undecided(schema):
    with pytest.raises(Undecided):
        for text in ("1", '"x"', "{}"):
            judge(schema).accepts(text)


def test_numbers_are_parsed_as_they_are_spelled():
    assert parse("[0.1, 1e2, 12345678901234567890123]") == [Decimal("0.1"), 100, 12345678901234567890123]


def test_patterns_are_read_as_node_reads_them():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    patterns = [
        *schema_strategies.PATTERNS,
        *schema_strategies.NAME_PATTERNS,
        r"[\w-.]",
        r"\-",
        r"\p{L}",
        r"\S$",
        r"\cA",
        ".",
    ]
    texts = ["", "a", "ab", "b", "bb", "aab", "é", "😀", "a\n", "\u2028", "٣", "1", "A_9", "-", "\x01", "abé", "\ufeff"]
    script = (
        "const [patterns, texts] = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "const read = p => { try { return new RegExp(p, 'u') } catch { return new RegExp(p) } };"
        "console.log(JSON.stringify(patterns.map(p => texts.map(t => read(p).test(t)))))"
    )
    asked = json.dumps([patterns, texts])
    answers = json.loads(
        subprocess.run([node, "-e", script], input=asked, capture_output=True, text=True, check=True).stdout
    )
    for pattern, answer in zip(patterns, answers, strict=True):
        assert [judge({"pattern": pattern}).holds(text) for text in texts] == answer, pattern
