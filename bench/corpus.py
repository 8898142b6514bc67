"""The benchmark's corpus: schemas with labelled instances, written for it; those that would be long are made by code.

A row has the fields of MaskBench, `id`, `schema` and `tests` (of `valid` and `data`); either can stand for the other.
The id is `family/name`. A test may say `indent`, which is how its instance is spelled. Members of instances stand in
the order of the schema, as the engines under comparison expect them. Rows that were written by hand lie in
`bench/corpus/`, one file a family. Tested by test_bench_corpus.py: every label is held against `jsonschema`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("corpus")
ONSETS = ("b", "br", "d", "f", "gl", "k", "l", "m", "n", "p", "qu", "r", "s", "st", "t", "v", "w", "z")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")

Row = dict[str, Any]


def corpus() -> list[Row]:
    """All rows of the committed corpus, by family and name."""
    rows = [row for path in sorted(FOLDER.glob("*.json")) for row in json.loads(path.read_text(encoding="utf-8"))]
    return sorted(rows + [make() for make in GENERATED], key=lambda row: row["id"])


def read_rows(path: str | Path) -> list[Row]:
    """Rows from MaskBench's files: JSON lines, gzipped or not."""
    content = Path(path).read_bytes()
    lines = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def family_of(row: Row) -> str:
    """The part of an id that names its family, here and in MaskBench (`family---name`)."""
    separator = "---" if "---" in row["id"] else "/"
    return str(row["id"]).partition(separator)[0]


def text_of(test: dict[str, Any]) -> str:
    """An instance as the benchmark spells it."""
    return json.dumps(test["data"], ensure_ascii=False, indent=test.get("indent"))


# ------------------------------------------------------------------------------------------------ made by code


def words(n: int) -> list[str]:
    """n different words, the same on every machine; many share their first syllable."""
    syllables = [onset + vowel for onset in ONSETS for vowel in VOWELS]
    k = len(syllables)
    return [syllables[i % k] + syllables[i * 7 // k % k] + syllables[i * 31 % k] for i in range(n)]


def row_of(name: str, schema: Any, valid: list[Any], invalid: list[Any]) -> Row:
    labelled = [(True, data) for data in valid] + [(False, data) for data in invalid]
    return {"id": name, "schema": schema, "tests": [{"valid": valid, "data": data} for valid, data in labelled]}


def closed(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """An object of these members alone, all of them required unless said otherwise."""
    required = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def enum_of_2000() -> Row:
    names = words(2000)
    schema = closed({"species": {"enum": names}, "count": {"type": "integer", "minimum": 0}})
    valid = [{"species": names[1234], "count": 3}, {"species": names[0], "count": 0}]
    return row_of("enums/2000-values", schema, valid, [{"species": "tiger", "count": 1}])


def enum_of_phrases() -> Row:
    phrases = [f"{a} {b}-{i}" for i, (a, b) in enumerate(zip(words(400), reversed(words(400))))]
    schema = {"type": "array", "items": {"enum": [*phrases, *range(0, 1000, 7)]}}
    return row_of("enums/400-phrases-and-numbers", schema, [[phrases[7], 21, phrases[399], 994], []], [[22]])


def optional_strings() -> Row:
    names = words(300)
    schema = closed({name: {"type": "string"} for name in names}, [])
    valid = [{names[i]: f"value {i}" for i in (0, 3, 150, 151, 299)}, {names[42]: ""}]
    return row_of("optional-keys/300-strings", schema, valid, [{"nobody": "x"}])


def optional_of_all_kinds() -> Row:
    kinds: list[dict[str, Any]] = [
        {"type": "integer"}, {"type": "boolean"}, {"type": "array", "items": {"type": "number"}}, {"type": "string"},
    ]  # fmt: skip
    values = [7, True, [1, 2.5], "x"]
    names = words(200)
    schema = {"type": "object", "properties": {name: kinds[i % 4] for i, name in enumerate(names)}}
    valid = [{names[i]: values[i % 4] for i in (1, 2, 60, 63, 199)}, {names[4]: 0, "unheard": [None]}]
    return row_of("optional-keys/200-open", schema, valid, [{names[0]: "seven"}])


def any_of_30_objects() -> Row:
    names = words(120)
    members = [
        {names[4 * i]: {"type": "string"}, names[4 * i + 1]: {"type": "integer"}, "shared": {"type": "boolean"}}
        for i in range(30)
    ]
    schema = {"anyOf": [closed(properties, list(properties)[:2]) for properties in members]}
    valid = [{names[4 * i]: "text", names[4 * i + 1]: i, "shared": i > 9} for i in (17, 3)]
    return row_of("wide-any-of/30-objects", schema, valid, [{names[0]: "text", names[5]: 1}])


def any_of_with_common_keys() -> Row:
    names = words(40)
    schema = {
        "anyOf": [
            closed({"id": {"type": "integer"}, "name": {"type": "string"}, name: {"type": ("string", "number")[i % 2]}})
            for i, name in enumerate(names)
        ]
    }
    valid: list[Any] = [{"id": 5, "name": "Iris", names[39]: 1.25}, {"id": 0, "name": "", names[2]: "two"}]
    return row_of("wide-any-of/40-with-common-keys", schema, valid, [{"id": 5, "name": "Iris", names[39]: "one"}])


def one_of_25_commands() -> Row:
    names = words(25)
    schema = {
        "oneOf": [
            closed({"command": {"const": name}, "arguments": closed({f"{name}_{k}": {"type": "string"} for k in "ab"})})
            for name in names
        ]
    }
    valid = [{"command": n, "arguments": {f"{n}_a": "x", f"{n}_b": "y z"}} for n in (names[20], names[8])]
    return row_of("discriminator/25-commands", schema, valid, [{"command": names[0], "arguments": {}}])


def many_patterns() -> Row:
    patterns: dict[str, Any] = {
        f"^{word}_[a-z]+$": {"type": ("integer", "string")[i % 2]} for i, word in enumerate(words(60))
    }
    schema = {"type": "object", "patternProperties": patterns, "additionalProperties": False}
    first, second = words(60)[10], words(60)[33]
    valid = [{f"{first}_total": 4, f"{second}_label": "four"}, {f"{first}_x": -1}]
    return row_of("pattern-properties/60-prefixes", schema, valid, [{f"{first}_total": "four"}])


def deep_records() -> Row:
    """Forty declared members, some with records of their own, as administrators write them."""
    names = words(40)
    port = closed({"name": {"type": "string"}, "port": {"type": "integer", "minimum": 1, "maximum": 65535}})
    properties: dict[str, Any] = {
        name: ({"type": "string"}, {"type": ["integer", "null"]}, {"type": "array", "items": port})[i % 3]
        for i, name in enumerate(names)
    }
    schema = {"type": "object", "properties": properties, "required": [names[0], names[2]]}
    first: dict[str, Any] = {names[0]: "a", names[1]: None, names[2]: [{"name": "web", "port": 8080}], names[39]: "z"}
    return row_of("config/40-members", schema, [first, {names[0]: "", names[2]: []}], [{names[0]: ""}])


def arrays_60_deep() -> Row:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}
    return row_of("deep-arrays/60-levels", schema, [nested(60, lambda inner: [inner, []], []), []], [[[0]]])


def anything_20_deep() -> Row:
    schema: dict[str, Any] = nested(20, lambda inner: {"type": "object", "properties": {"x": inner}}, {})
    value = nested(20, lambda inner: {"x": inner}, {"free": [1, {"form": None}]})
    return row_of("unconstrained/under-20-levels", schema, [value, {"x": {"x": {}}}], [{"x": {"x": 1}}])


def nested(levels: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner


GENERATED: tuple[Callable[[], Row], ...] = (
    enum_of_2000, enum_of_phrases, optional_strings, optional_of_all_kinds, any_of_30_objects, any_of_with_common_keys,
    one_of_25_commands, many_patterns, deep_records, arrays_60_deep, anything_20_deep,
)  # fmt: skip
