"""References of JSON Schema: the standard's test suite by a small validator and by the algebra of schemas, twins
(`referencing` and the judge), bad input."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import jsonschema
import pytest
import referencing.exceptions
from referencing import Registry, Resource
from referencing._core import Resolved
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012, DynamicAnchor

import bridle
from bridle.grammar.schema_references import References, draft_named, resolve_uri
from bridle.grammar.schema_scan import SchemaScan
from bridle.grammar.schema_values import SchemaValues
from judge import Judge

SUITE = Path(__file__).resolve().parents[2] / "shared" / "data" / "json-schema-test-suite"
DRAFTS = {"draft4": 4, "draft6": 6, "draft7": 7, "draft2019-09": 2019, "draft2020-12": 2020}
METASCHEMAS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
SPECIFICATIONS = {4: DRAFT4, 6: DRAFT6, 7: DRAFT7, 2019: DRAFT201909, 2020: DRAFT202012}
TOPICS = [
    "ref", "refRemote", "anchor", "id", "defs", "definitions", "dynamicRef", "recursiveRef", "unknownKeyword",
    "infinite-loop-detection", "optional/anchor", "optional/cross-draft", "optional/dynamicRef", "optional/id",
    "optional/refOfUnknownKeyword", "optional/unknownKeyword", "unevaluatedProperties", "unevaluatedItems",
]  # fmt: skip
FILES = [(draft, topic) for draft in DRAFTS for topic in TOPICS if (SUITE / draft / f"{topic}.json").exists()]

# ------------------------------------------------------------------------------------------------ a small validator

TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: TYPES["number"](value) and value == int(value),
}


def canonical(value):
    return json.dumps(value, sort_keys=True)


class Validator:
    """Evaluates a value by the schemas that `References` finds: the set of evaluated names or indexes, None if it
    is refused.

    It keeps the whole chain of entered resources beside each scope, the naive dynamic scope, and compares them.
    """

    def __init__(self, root, draft):
        self.references = References(root, draft)
        self.root = root

    def accepts(self, value):
        base = self.references.base
        return self.schema(self.root, (base, self.references.scope, (base,)), value) is not None

    def entered(self, base, place):
        at, scope, chain = place
        after, chain = scope.entered(base), chain if base is at else (*chain, base)
        for anchor in {name for one in chain for name in self.references._dynamic_anchors(one)}:
            outermost = next(one for one in chain if anchor in self.references._dynamic_anchors(one))
            assert after.outermost(anchor) is outermost
        return base, after, chain

    def sub(self, schema, place, value):
        return self.schema(schema, self.entered(self.references.enter(schema, place[0]), place), value)

    def target(self, target, place, value):
        assert self.references.enter(target.schema, target.base) in {target.base} or "$id" in target.schema
        return self.schema(target.schema, self.entered(target.base, place), value)

    def schema(self, schema, place, value):
        if isinstance(schema, bool):
            return set() if schema else None
        base, scope, _ = place
        draft = base.draft
        if draft <= 7 and "$ref" in schema:
            return self.target(self.references.resolve(schema["$ref"], base), place, value)
        results = []
        if "$ref" in schema:
            results.append(self.target(self.references.resolve(schema["$ref"], base), place, value))
        dynamic = "$recursiveRef" if draft == 2019 else "$dynamicRef"
        if dynamic in schema and draft >= 2019:
            results.append(self.target(self.references.dynamic(schema[dynamic], base, scope), place, value))
        results.append(set() if self.asserts(schema, value) else None)
        results.extend(self.sub(one, place, value) for one in schema.get("allOf", ()))
        for keyword, fits in (("anyOf", lambda count: count > 0), ("oneOf", lambda count: count == 1)):
            if keyword in schema:
                found = [self.sub(one, place, value) for one in schema[keyword]]
                passed = [names for names in found if names is not None]
                results.append(set().union(*passed) if fits(len(passed)) else None)
        if "not" in schema:
            results.append(set() if self.sub(schema["not"], place, value) is None else None)
        if "if" in schema and draft >= 7:
            condition = self.sub(schema["if"], place, value)
            results.append(condition or set())
            branch = "then" if condition is not None else "else"
            results.append(self.sub(schema.get(branch, True), place, value))
        if isinstance(value, dict):
            results.extend(self.members(schema, place, value))
        if isinstance(value, list):
            results.extend(self.items(schema, place, value))
        if None in results:
            return None
        names = set().union(*results)
        for keyword, kind in (("unevaluatedProperties", dict), ("unevaluatedItems", list)):
            if draft >= 2019 and keyword in schema and isinstance(value, kind):
                there = value.keys() if kind is dict else set(range(len(value)))
                if any(self.sub(schema[keyword], place, value[key]) is None for key in there - names):
                    return None
                names |= there
        return names

    def members(self, schema, place, value):
        named = set()
        for name, sub in schema.get("properties", {}).items():
            if name in value:
                named.add(name)
                yield {name} if self.sub(sub, place, value[name]) is not None else None
        for pattern, sub in schema.get("patternProperties", {}).items():
            for name in value:
                if re.search(pattern, name):
                    named.add(name)
                    yield {name} if self.sub(sub, place, value[name]) is not None else None
        for name in value.keys() - named if "additionalProperties" in schema else ():
            yield {name} if self.sub(schema["additionalProperties"], place, value[name]) is not None else None
        for name in value if "propertyNames" in schema else ():
            yield set() if self.sub(schema["propertyNames"], place, name) is not None else None
        for keyword in ("dependencies", "dependentSchemas", "dependentRequired"):
            for name, sub in schema.get(keyword, {}).items():
                if name in value and isinstance(sub, list):
                    yield set() if set(sub) <= value.keys() else None
                elif name in value:
                    yield self.sub(sub, place, value)

    def items(self, schema, place, value):
        first, keyword = schema.get("prefixItems", []) if place[0].draft == 2020 else [], "items"
        if isinstance(schema.get("items"), list):
            first, keyword = schema["items"], "additionalItems"
        rest = schema.get(keyword, True)
        for i, item in enumerate(value):
            passed = self.sub(first[i] if i < len(first) else rest, place, item)
            named = i < len(first) or keyword in schema
            yield ({i} if named else set()) if passed is not None else None
        if "contains" in schema and place[0].draft >= 6:
            found = {i for i, item in enumerate(value) if self.sub(schema["contains"], place, item) is not None}
            yield (found if place[0].draft == 2020 else set()) if found or schema.get("minContains") == 0 else None

    @staticmethod
    def asserts(schema, value):
        types = schema.get("type", list(TYPES))
        checks = [any(TYPES[name](value) for name in ([types] if isinstance(types, str) else types))]
        if "const" in schema:
            checks.append(canonical(schema["const"]) == canonical(value))
        if "enum" in schema:
            checks.append(canonical(value) in map(canonical, schema["enum"]))
        if TYPES["number"](value):
            checks += [schema.get("minimum", value) <= value <= schema.get("maximum", value)]
            checks += [value % schema.get("multipleOf", value or 1) == 0]
        if isinstance(value, str):
            checks += [schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))]
            checks += [re.search(schema.get("pattern", "").replace(r"\p{", "x{"), value)]
        if isinstance(value, list):
            checks += [schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))]
        if isinstance(value, dict):
            checks += [name in value for name in schema.get("required", ())]
            checks += [schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))]
        return all(checks)


# ------------------------------------------------------------------------------------------------ the test suite


def cases(draft, topic):
    return json.loads((SUITE / draft / f"{topic}.json").read_text())


@pytest.mark.skipif(not FILES, reason="shared/data/json-schema-test-suite is not there")
@pytest.mark.parametrize(("draft", "topic"), FILES)
def test_the_suite_is_decided_as_it_says_or_refused_for_a_remote_schema(draft, topic):
    for case in cases(draft, topic):
        for one in case["tests"]:
            try:
                verdict = Validator(case["schema"], DRAFTS[draft]).accepts(one["data"])
            except bridle.UnsupportedError as refused:
                remote = re.search(r'"\$?id": "http://localhost:1234/(.*)"', str(refused))
                assert remote, (case["description"], str(refused))
                assert (SUITE / "remotes" / remote[1]).exists(), case["description"]
                continue
            assert verdict == one["valid"], (case["description"], one["description"])


def bundled(schema, draft):
    """A schema with the suite's remote schemas embedded, each under the URI it has there if it names none itself."""
    keyword = "id" if draft == 4 else "$id"
    embedded = {}
    remotes = SUITE / "remotes"
    for path in sorted(remotes.rglob("*.json")):
        way = path.relative_to(remotes).as_posix()
        remote = json.loads(path.read_text())
        folder = way.partition("/")[0]
        of_another = folder.startswith(("draft", "v1")) and DRAFTS.get(folder) != draft
        if of_another or not isinstance(remote, dict):
            continue
        if isinstance(remote.get(keyword), str):
            remote = {**remote, keyword: resolve_uri(f"http://localhost:1234/{way}", remote[keyword])}
        elif "$ref" in remote and draft <= 7:
            remote = {keyword: f"http://localhost:1234/{way}", "allOf": [remote]}
        embedded[way] = {keyword: f"http://localhost:1234/{way}", **remote}
    container = "definitions" if draft <= 7 else "$defs"
    return {**schema, container: {**schema.get(container, {}), **embedded}}


@pytest.mark.skipif(not FILES, reason="shared/data/json-schema-test-suite is not there")
@pytest.mark.parametrize(("draft", "topic"), [pair for pair in FILES if pair[1] in ("refRemote", "dynamicRef")])
def test_remote_schemas_are_found_once_they_are_embedded(draft, topic):
    decided = 0
    for case in cases(draft, topic):
        schema = bundled(case["schema"], DRAFTS[draft])
        for one in case["tests"]:
            try:
                verdict = Validator(schema, DRAFTS[draft]).accepts(one["data"])
            except bridle.UnsupportedError as refused:
                # Known by where it was fetched from alone: inside a bundle its $id is the only name that it has.
                assert "different-id-ref-string" in str(refused) or "urn-ref-string" in str(refused), str(refused)
                continue
            decided += 1
            assert verdict == one["valid"], (case["description"], one["description"])
    assert decided > 10


# ------------------------------------------------------------------------------------------------ the algebra


class Algebra:
    """What the algebra of schemas says of values. refused : whether something of the schema is not enforced."""

    def __init__(self, schema):
        self.schema = schema
        self.scan = SchemaScan(schema, formats="annotate")
        self.refused = bool(self.scan.gaps)
        self.values = SchemaValues(self.scan)

    def admits(self, value):
        return self.values.admits([(self.schema, self.scan.contexts.root)], value)


@pytest.mark.skipif(not FILES, reason="shared/data/json-schema-test-suite is not there")
@pytest.mark.parametrize(("draft", "topic"), FILES)
def test_the_algebra_decides_the_suite_as_it_says_or_refuses_remotes_and_other_drafts(draft, topic):
    for case in cases(draft, topic):
        schema = case["schema"]
        if isinstance(schema, dict):
            schema = {"$schema": METASCHEMAS[DRAFTS[draft]], **schema}
        algebra = Algebra(schema)
        if algebra.refused:
            remote = {gap.keyword for gap in algebra.scan.gaps} <= {"$ref", "$dynamicRef", "$schema"}
            assert remote and topic in ("refRemote", "dynamicRef", "optional/cross-draft"), algebra.scan.gaps
            continue
        for one in case["tests"]:
            assert algebra.admits(one["data"]) == one["valid"], (case["description"], one["description"])


def probe(rng, draft):
    """A document in which a verdict tells what applies where: each schema forbids its own name as the member "is".

    Below the members p and q it refers wherever it likes, in place only to later resources, which ends. It leaves out
    what the judge's package reads in another way than the standard, beside what `dynamically` mends: `$ref` to a
    dynamic anchor (dynamic there), `$dynamicRef` to one in another resource (which counts as entered there), and a
    resource with `$recursiveAnchor` outside of one without, outside of one with it (the outer is not seen there).
    """
    keyword, container = "id" if draft == 4 else "$id", "definitions" if draft <= 7 else "$defs"
    ways = ["a", "dir/b", "dir/c", "d"]
    names = iter(range(100))

    def reference(leaves):
        uri = "" if not leaves else rng.choice(["", *(f"{start}/{way}" for way in ways for start in ("", "http://x"))])
        plain = {"$ref": f"{uri}#{rng.choice(['', f'/{container}/s', f'/{container}/m'])}"}
        if draft <= 7:
            return rng.choice([plain, {"$ref": f"{uri}#s"}]) if uri else plain
        static = {"$ref": f"{uri}#s"}
        if draft == 2019:
            return rng.choice([plain, static, *[{"$recursiveRef": "#"}] * 3])
        return rng.choice(
            [plain, static, {"$dynamicRef": f"{uri}#s"}, *({"$dynamicRef": f"#{name}"} for name in "mmnn")]
        )

    def named(later, leaves):
        members = {name: reference(leaves) for name in "pq"}
        schema = {"properties": {"is": {"not": {"enum": [f"{next(names)}"]}}, **members}}
        if later and rng.random() < 0.4:
            schema["allOf"] = [{"$ref": f"http://x/{rng.choice(later)}"}]
        return schema

    def resource(uri, later, recursive, leaves=True):
        below = {"s": named(later, leaves), "m": named(later, leaves)}
        schema = {keyword: uri, **named(later, leaves), container: below}
        if draft <= 7:
            below["s"][keyword] = "#s"
            return schema
        below["s"]["$anchor"] = "s"
        if draft == 2019 and recursive:
            schema["$recursiveAnchor"] = True
        if draft == 2020:
            schema[rng.choice(["$dynamicAnchor", "$anchor"])] = "n"
            below["m"][rng.choice(["$dynamicAnchor", "$anchor"])] = "m"
        return schema

    recursive = rng.random() < 0.8
    root = resource("http://x/root", ways, recursive and rng.random() < 0.3)
    for i, way in enumerate(ways):
        closed = draft == 2019 and way == ways[-1]
        made = resource(f"http://x/{way}", ways[i + 1 :], recursive and not closed, not closed)
        root[container][way.replace("/", "_")] = made
    return {"$schema": METASCHEMAS[draft], **root}, [f"{name}" for name in range(next(names))]


def along(path, value):
    for name in reversed(path):
        value = {name: value}
    return value


def dynamically(anchor, resolver):
    """`DynamicAnchor.resolve` of `referencing` 0.37, mended: the base is where the anchor was found (core 2020-12,
    8.2.3.2), and the resource in which the reference stands stays in the dynamic scope."""
    found, uri = anchor.resource, resolver._base_uri
    for outer, registry in resolver.dynamic_scope():
        try:
            other = registry.anchor(outer, anchor.name).value
        except referencing.exceptions.NoSuchAnchor:
            continue
        if isinstance(other, DynamicAnchor):
            found, uri = other.resource, outer
    return Resolved(contents=found.contents, resolver=resolver._evolve(base_uri=uri).in_subresource(found))


@pytest.mark.parametrize("draft", [4, 6, 7, 2019, 2020])
def test_the_schemas_that_apply_along_a_path_are_those_that_the_judge_applies(draft, monkeypatch):
    monkeypatch.setattr(DynamicAnchor, "resolve", dynamically)
    rng = random.Random(draft)
    applied = 0
    for _ in range(8 if draft <= 7 else 30):
        schema, names = probe(rng, draft)
        algebra, judge = Algebra(schema), Judge(schema)
        assert not algebra.refused
        for _ in range(6):
            path = rng.choices("pq", k=rng.randrange(1, 6))
            for name in names:
                value = along(path, {"is": name})
                verdict = algebra.admits(value)
                assert verdict == judge.holds(value), (path, name, schema)
                applied += not verdict
    assert applied > 40


TREE = {"$id": "tree", "$recursiveAnchor": True, "type": "object", "additionalProperties": {"$recursiveRef": "#"}}


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"$recursiveRef": "#/x"}, {}, None),
        ({"additionalProperties": {"$recursiveRef": "#"}, "maxProperties": 1}, {"a": {"b": {}}}, True),
        ({"additionalProperties": {"$recursiveRef": "#"}, "maxProperties": 1}, {"a": {"b": {}, "c": {}}}, False),
        ({"$recursiveAnchor": True, "$ref": "tree", "maxProperties": 1, "$defs": {"t": TREE}}, {"a": {"b": {}}}, True),
        (
            {"$recursiveAnchor": True, "$ref": "tree", "maxProperties": 1, "$defs": {"t": TREE}},
            {"a": {"b": {}, "c": {}}},
            False,
        ),
        ({"$ref": "tree", "maxProperties": 1, "$defs": {"t": TREE}}, {"a": {"b": {}, "c": {}}}, True),
        ({"$ref": "tree", "maxProperties": 1, "$defs": {"t": TREE}}, {"a": {"b": 1}}, False),
        (
            {"$recursiveAnchor": True, "$ref": "tree", "maxProperties": 1,
             "$defs": {"t": {**TREE, "$recursiveAnchor": False}}},
            {"a": {"b": {}, "c": {}}},
            True,
        ),
        (
            {"$recursiveAnchor": True, "properties": {"child": {"$recursiveRef": "#"}, "name": {}},
             "unevaluatedProperties": False},
            {"child": {"name": 1, "child": {}}},
            True,
        ),
        (
            {"$recursiveAnchor": True, "properties": {"child": {"$recursiveRef": "#"}, "name": {}},
             "unevaluatedProperties": False},
            {"child": {"name": 1, "other": {}}},
            False,
        ),
        (
            {"$id": "http://x/list", "$recursiveAnchor": True, "anyOf": [{"type": "integer"}, {"$ref": "leaves"}],
             "$defs": {"l": {"$id": "leaves", "$recursiveAnchor": True, "type": "array",
                             "items": {"$recursiveRef": "#"}}}},
            [1, [2, []]],
            True,
        ),
        (
            {"$id": "http://x/list", "$ref": "leaves",
             "$defs": {"l": {"$id": "leaves", "$recursiveAnchor": True, "type": "array",
                             "items": {"$recursiveRef": "#"}}}},
            [1, [2, []]],
            False,
        ),
    ],
)  # fmt: skip
def test_recursive_references_are_decided_as_the_jsonschema_package_decides(schema, value, valid):
    schema = {"$schema": METASCHEMAS[2019], "$id": "http://x/root", **schema}
    if valid is None:
        with pytest.raises(bridle.GrammarError, match=r"\$recursiveRef must be '#'"):
            Algebra(schema)
        return
    assert Algebra(schema).admits(value) == valid
    assert jsonschema.Draft201909Validator(schema).is_valid(value) == valid


def test_a_reference_that_leads_back_to_itself_in_place_has_no_value():
    for schema in (
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$dynamicRef": "#n", "$dynamicAnchor": "n"},
    ):
        assert not Algebra(schema).admits({})
    assert Algebra({"anyOf": [{"$ref": "#"}, {"type": "object"}]}).admits({})


@pytest.mark.parametrize("draft", [4, 6, 7, 2019, 2020])
def test_names_and_data_that_look_like_identifiers_are_none(draft):
    keyword = "id" if draft == 4 else "$id"
    data = {keyword: 5, "$ref": "nowhere", "$anchor": 5}
    schema = {
        "$schema": METASCHEMAS[draft],
        "properties": {"id": {"type": "integer"}, "$id": {"$ref": "#/properties/id"}, "$ref": {"type": "string"}},
        "enum": [data, {"id": 1, "$id": 2, "$ref": "x"}],
        "default": data,
        "examples": [data],
    }
    algebra = Algebra(schema)
    assert not algebra.refused
    assert algebra.admits({"id": 1, "$id": 2, "$ref": "x"})
    assert not algebra.admits({"id": 1, "$id": 2, "$ref": "y"})


@pytest.mark.parametrize("draft", [4, 6, 7, 2019, 2020])
def test_metaschemas_are_schemas_like_others_where_the_draft_is_one(draft):
    for other in (4, 6, 7, 2019, 2020):
        algebra = Algebra({"$schema": METASCHEMAS[draft], "properties": {"a": {"$ref": METASCHEMAS[other]}}})
        assert algebra.refused == (other != draft)
        if other == draft:
            assert algebra.admits({"a": {"properties": {"b": {"minLength": 1}}}})
            assert not algebra.admits({"a": {"properties": {"b": {"minLength": -1}}}})


def test_the_base_where_a_dynamic_anchor_leads_is_that_of_the_outermost_resource():
    """Core 2020-12, 8.2.3.2: the URI of the reference is replaced by the outermost's. (jsonschema 4.26 keeps it.)"""
    root = {
        "$id": "http://x/root",
        "properties": {"q": {"$ref": "a"}},
        "$defs": {
            "s": {"$anchor": "s", "type": "integer"},
            "m": {"$dynamicAnchor": "m", "properties": {"q": {"$ref": "#s"}}},
            "a": {"$id": "a", "properties": {"p": {"$dynamicRef": "b#m"}}},
            "b": {"$id": "b", "$defs": {"s": {"$anchor": "s"}, "m": {"$dynamicAnchor": "m"}}},
        },
    }
    algebra = Algebra(root)
    assert algebra.admits({"q": {"p": {"q": 1}}})
    assert not algebra.admits({"q": {"p": {"q": "s"}}})


def test_a_resource_stays_in_the_dynamic_scope_below_a_dynamic_reference_that_leaves_it():
    """The reference in `c` leads to the root; from there to `a`, whose #m then is that of `c`. (jsonschema 4.26: of
    `a`.)"""
    schema = {
        "$id": "http://x/root",
        "$dynamicAnchor": "n",
        "allOf": [{"$ref": "c"}],
        "properties": {"q": {"$ref": "a"}},
        "$defs": {
            "a": {"$id": "a", "properties": {"r": {"$dynamicRef": "#m"}}, "$defs": {"m": {"$dynamicAnchor": "m"}}},
            "c": {
                "$id": "c",
                "$dynamicAnchor": "n",
                "properties": {"p": {"$dynamicRef": "#n"}},
                "$defs": {"m": {"$dynamicAnchor": "m", "type": "integer"}},
            },
        },
    }
    algebra = Algebra(schema)
    assert algebra.admits({"p": {"q": {"r": 1}}})
    assert not algebra.admits({"p": {"q": {"r": "s"}}})
    assert not Validator(schema, 2020).accepts({"p": {"q": {"r": "s"}}})


# ------------------------------------------------------------------------------------------------ a twin


def random_schema(rng, draft, depth, names):
    """A schema with identifiers, anchors, and what only looks like them; each URI and each anchor once."""
    keyword = "id" if draft == 4 else "$id"
    schema = {"title": f"t{next(names)}"}
    if rng.random() < 0.3:
        schema[keyword] = rng.choice(
            [f"x{next(names)}.json", f"d{next(names)}/", f"/r{next(names)}/y", f"http://h{next(names)}/p/q",
             f"../up{next(names)}", *([] if depth else [f"urn:u:{next(names)}"])]
        )  # fmt: skip
    elif draft <= 7 and rng.random() < 0.3:
        schema[keyword] = f"#a{next(names)}"
    if draft >= 2019 and rng.random() < 0.3:
        schema["$anchor"] = f"a{next(names)}"
    if draft == 2020 and rng.random() < 0.2:
        schema["$dynamicAnchor"] = f"a{next(names)}"
    if depth == 0:
        return schema

    def sub():
        return random_schema(rng, draft, depth - 1, names)

    for _ in range(rng.randrange(3)):
        place = rng.choice(["properties", "one", "many", "definitions", "items", "unknown", "enum", "dependencies"])
        if place == "properties":
            schema["properties"] = {rng.choice(["$id", "id", "a/b", "c~d", "e%f", "$anchor", ""]): sub()}
        elif place == "one":
            schema[rng.choice(["not", "additionalProperties"])] = sub()
        elif place == "many":
            schema[rng.choice(["allOf", "anyOf", "oneOf"])] = [sub(), sub()]
        elif place == "definitions":
            schema["definitions" if draft <= 7 else "$defs"] = {"A": sub(), "B": sub()}
        elif place == "items":
            schema["items"] = sub() if draft == 2020 or rng.random() < 0.5 else [sub(), sub()]
        elif place == "unknown":
            schema["unknown"] = {"k": sub()}
        elif place == "enum":
            schema["enum"] = [sub()]
        elif draft <= 7:
            schema["dependencies"] = {"p": sub()}
    return schema


def places(value, pointer=""):
    yield pointer, value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from places(member, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


@pytest.mark.parametrize("draft", [4, 6, 7, 2019, 2020])
def test_references_name_what_the_referencing_package_finds(draft):
    """It reads an identifier's fragment, identifiers beside `$ref` and relative URIs under a URN in other ways: not
    generated."""
    rng = random.Random(draft)
    found = 0
    for _ in range(150):
        schema = random_schema(rng, draft, 4, iter(range(10**6)))
        schema["id" if draft == 4 else "$id"] = "http://example.com/root/schema.json"
        registry = Registry().with_resource("http://example.com/root/schema.json",
                                            Resource(schema, SPECIFICATIONS[draft])).crawl()  # fmt: skip
        uris = sorted(registry)
        references = References(schema, draft)
        words = sorted({value for _, value in places(schema) if isinstance(value, str)})
        pointers = [pointer for pointer, _ in places(schema)]
        asked = ["#" + p.replace("%", "%25") for p in pointers] + [w if w[0] == "#" else f"#{w}" for w in words]
        asked += uris + [f"{uri}#{rng.choice(pointers)}".replace("%", "%25") for uri in uris]
        for uri in uris:
            resolver = registry.resolver(uri)
            at = references.resolve(uri, references.base).base
            assert at.uri == uri
            for reference in rng.sample(asked, min(len(asked), 25)):
                try:
                    twin = resolver.lookup(reference)
                except AttributeError:  # it takes the names in an object of properties for keywords
                    continue
                except (referencing.exceptions.Unresolvable, ValueError):
                    with pytest.raises(bridle.GrammarError):
                        references.resolve(reference, at)
                    continue
                if isinstance(twin.contents, dict):
                    ours = references.resolve(reference, at)
                    assert ours.schema is twin.contents, (reference, at.uri)
                    if not re.search("#a|unknown|enum", reference):  # where it enters a resource twice, or one of data
                        assert ours.base.uri == twin.resolver._base_uri, (reference, at.uri)
                    found += 1
    assert found > 500


@pytest.mark.parametrize("reference", ["g:h", "g", "./g", "g/", "/g", "//g", "?y", "g?y", "#s", "g#s", "g?y#s", ";x",
    "g;x", "g;x?y#s", "", ".", "./", "..", "../", "../g", "../..", "../../", "../../g"])  # fmt: skip
def test_uris_resolve_as_rfc_3986_section_5_4_1_lists_them(reference):
    expected = {
        "g:h": "g:h", "g": "http://a/b/c/g", "./g": "http://a/b/c/g", "g/": "http://a/b/c/g/", "/g": "http://a/g",
        "//g": "http://g", "?y": "http://a/b/c/d;p?y", "g?y": "http://a/b/c/g?y", "#s": "http://a/b/c/d;p?q#s",
        "g#s": "http://a/b/c/g#s", "g?y#s": "http://a/b/c/g?y#s", ";x": "http://a/b/c/;x", "g;x": "http://a/b/c/g;x",
        "g;x?y#s": "http://a/b/c/g;x?y#s", "": "http://a/b/c/d;p?q", ".": "http://a/b/c/", "./": "http://a/b/c/",
        "..": "http://a/b/", "../": "http://a/b/", "../g": "http://a/b/g", "../..": "http://a/", "../../": "http://a/",
        "../../g": "http://a/g",
    }  # fmt: skip
    assert resolve_uri("http://a/b/c/d;p?q", reference) == expected[reference]


@pytest.mark.parametrize(
    ("base", "reference", "expected"),
    [
        ("http://a/b/c/d;p?q", "../../../g", "http://a/g"),
        ("http://a/b/c/d;p?q", "/./g", "http://a/g"),
        ("http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"),
        ("http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"),
        ("http://a", "g", "http://a/g"),
        ("vscode://schemas/settings", "launch", "vscode://schemas/launch"),
        ("tag:example.com,2020:a/b", "c", "tag:example.com,2020:a/c"),
        ("urn:uuid:1", "urn:uuid:2", "urn:uuid:2"),
        ("", "a/../b.json", "b.json"),
        ("a/b.json", "c.json", "a/c.json"),
        ("http://[bad", "not a uri\n", "http://[bad/not a uri\n"),
    ],
)
def test_uris_resolve_under_any_scheme(base, reference, expected):
    assert resolve_uri(base, reference) == expected


# ------------------------------------------------------------------------------------------------ what is named


def target(schema, reference, draft=2020):
    references = References(schema, draft)
    return references.resolve(reference, references.base, "/$ref")


@pytest.mark.parametrize(
    ("schema", "reference", "pointer"),
    [
        ({"$id": "http://x/root.json", "$defs": {"a": {}}}, "http://x/root.json#/$defs/a", "/$defs/a"),
        ({"$id": "http://x/root.json#", "definitions": {"a": {}}}, "root.json#/definitions/a", "/definitions/a"),
        ({"$id": "http://x/root.json"}, "http://x/root.json#", ""),
        ({}, "", ""),
        ({}, "#", ""),
        ({"$defs": {"": {"": {}}}}, "#/$defs//", "/$defs//"),
        ({"$defs": {"a/b": {"m~n": {}}}}, "#/%24defs/a~1b/m~0n", "/$defs/a~1b/m~0n"),
        ({"$defs": {"~1": {}}}, "#/$defs/~01", "/$defs/~01"),
        ({"$defs": {"ü": {}}}, "#/$defs/%C3%BC", "/$defs/ü"),
        ({"allOf": [True, {"x": False}]}, "#/allOf/1/x", "/allOf/1/x"),
        ({"$defs": {"0": {}}}, "#/$defs/0", "/$defs/0"),
        ({"$defs": {"a": {"$id": "urn:uuid:1", "$anchor": "b"}}}, "urn:uuid:1#b", "/$defs/a"),
        ({"$defs": {"a": {"$id": "tag:x.org,2020:y"}}}, "tag:x.org,2020:y", "/$defs/a"),
        ({"$defs": {"a": {"$id": "My Schema!"}}}, "My Schema!", "/$defs/a"),
        ({"$defs": {"a": {"$id": "http://[bad"}}}, "http://[bad", "/$defs/a"),
        ({"$defs": {"a": {"$anchor": "x"}}}, "#%78", "/$defs/a"),
        ({"$defs": {"a": {"$anchor": "x", "$dynamicAnchor": "x"}}}, "#x", "/$defs/a"),
        ({"properties": {"$id": {"type": "string"}, "id": {"$anchor": "x"}}}, "#x", "/properties/id"),
        ({"enum": [{"$anchor": "x"}], "const": {"$anchor": "x"}, "not": {"$anchor": "x"}}, "#x", "/not"),
        ({"definitions": {"$ref": {"$anchor": "x"}}}, "#x", "/definitions/$ref"),
        ({"$defs": {"a": {"$id": "b", "$defs": {"c": {}}}}}, "b#/$defs/c", "/$defs/a/$defs/c"),
    ],
)
def test_a_reference_names_the_schema_at_a_pointer(schema, reference, pointer):
    found = target(schema, reference)
    assert found.pointer == pointer
    assert dict((where, id(value)) for where, value in places(schema))[pointer] == id(found.schema)


def test_up_to_draft_7_an_identifier_of_a_fragment_is_an_anchor_and_may_follow_a_uri():
    for draft, keyword in ((4, "id"), (6, "$id"), (7, "$id")):
        schema = {"definitions": {"a": {keyword: "#x"}, "b": {keyword: "t/inner.json#y", "not": {keyword: "#z"}}}}
        assert target(schema, "#x", draft).pointer == "/definitions/a"
        assert target(schema, "t/inner.json#y", draft).pointer == "/definitions/b"
        assert target(schema, "t/inner.json#z", draft).pointer == "/definitions/b/not"
        with pytest.raises(bridle.GrammarError, match="#nothing"):
            target(schema, "#nothing", draft)


def test_from_2019_09_a_fragment_in_an_identifier_is_no_anchor():
    """Schemas in the wild have "$id": "#/properties/a": it changes nothing."""
    schema = {"properties": {"a": {"$id": "#/properties/a"}, "b": {"$id": "#b"}}, "$defs": {"c": {}}}
    references = References(schema, 2020)
    assert references.enter(schema["properties"]["a"], references.base) is references.base
    assert references.resolve("#/properties/a", references.base).schema is schema["properties"]["a"]
    with pytest.raises(bridle.GrammarError, match=r"no schema there has the anchor 'b'.*\"\$anchor\": \"b\""):
        references.resolve("#b", references.base)


def test_up_to_draft_7_a_ref_hides_the_identifier_beside_it():
    schema = {"allOf": [{"$id": "http://x/a", "$ref": "b"}], "$id": "http://y/"}
    for draft, uri in ((7, "http://y/"), (2019, "http://x/a")):
        references = References(schema, draft)
        assert references.enter(schema["allOf"][0], references.base).uri == uri


@pytest.mark.parametrize(
    ("uri", "draft"),
    [
        ("http://json-schema.org/draft-04/schema#", 4),
        ("http://json-schema.org/draft-06/schema#", 6),
        ("http://json-schema.org/draft-07/schema", 7),
        ("https://json-schema.org/draft/2019-09/schema", 2019),
        ("https://json-schema.org/draft/2020-12/schema#", 2020),
        ("https://json-schema.org/draft/2020-12/meta/core", 2020),
    ],
)
def test_metaschemas_are_at_hand_and_know_their_draft(uri, draft):
    found = target({}, uri, 7)
    assert found.base.draft == draft
    assert draft_named(found.schema["$schema"]) == draft
    assert found.pointer == uri.rstrip("#") + "#"
    root = {"$ref": uri}
    assert Validator(root, draft).accepts({"minLength": 1, "properties": {"a": {"type": "string"}}})
    if "core" not in uri:
        assert not Validator(root, draft).accepts({"properties": {"a": {"minLength": -1}}})
        assert not Validator(root, draft).accepts({"properties": {"a": {"properties": {"b": {"type": "x"}}}}})


def test_a_resource_with_a_schema_keyword_is_of_that_draft():
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "old", "not": {"$id": "#x"}}
    oldest = {"$schema": "http://json-schema.org/draft-04/schema#", "$id": "oldest", "not": {"id": "#x"}}
    references = References({"$defs": {"old": old, "oldest": oldest}}, 2020)
    base = references.base
    assert [references.enter(one, base).draft for one in (old, oldest)] == [7, 4]
    assert references.resolve("old#x", base).schema is old["not"]
    assert references.resolve("oldest#x", base).schema is oldest["not"]


def test_the_enclosing_resources_draft_says_what_identifies():
    """Documents in the wild hold subschemas with "$schema" of draft 4 with an "id", and point into them by the root."""
    inner = {"$schema": "http://json-schema.org/draft-04/schema#", "id": "schemata/app"}
    named = {"$schema": "http://json-schema.org/draft-07/schema#", "not": {"id": "x"}}
    hyper = {"$schema": "http://json-schema.org/draft-04/hyper-schema", "$id": "app"}
    references = References({"definitions": {"app": inner}, "anyOf": [named, hyper]}, 2020)
    base = references.base
    assert references.enter(inner, base) is base
    assert references.enter(named, base) is base
    assert references.enter(hyper, base).draft == 2020
    assert target({"definitions": {"app": inner}}, "schemata/app", 4).schema is inner


def test_pointers_enter_the_resources_on_their_way():
    inner = {"$id": "inner", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {}}}
    references = References({"$id": "http://x/root", "$defs": {"i": inner}}, 2020)
    found = references.resolve("#/$defs/i/$defs/a", references.base)
    assert found.base.uri == "http://x/inner"
    assert found.base is references.enter(inner, references.base)
    assert references.resolve("#/$defs/b", found.base).pointer == "/$defs/i/$defs/b"


def test_data_on_the_way_of_a_pointer_identifies_nothing_but_subschemas_of_its_end_do():
    inner = {"$id": "http://x/inner", "properties": {"a": {}}}
    end = {"$id": "http://x/end", "not": inner}
    references = References({"$id": "http://x/root", "unknown": {"k": end}}, 2020)
    base = references.base
    assert references.resolve("#/unknown/k", base).base is base
    assert references.resolve("#/unknown/k/not/properties/a", base).base is base
    entered = references.enter(inner, base)
    assert references.resolve("inner#/properties/a", entered).schema is inner["properties"]["a"]
    with pytest.raises(bridle.UnsupportedError):
        references.resolve("inner", base)


def test_a_resource_is_one_object_however_it_is_reached():
    inner = {"$id": "inner"}
    schema = {"$id": "http://x/root", "properties": {"a": inner}}
    references = References(schema, 2019)
    reached = {
        references.enter(inner, references.base),
        references.resolve("inner", references.base).base,
        references.resolve("#/properties/a", references.base).base,
    }
    assert len(reached) == 1
    assert references.enter(schema, references.base) is references.base
    assert references.enter(inner, *reached) in reached
    assert references.resolve("root", *reached).base is references.base


# ------------------------------------------------------------------------------------------------ dynamic scopes


def test_scopes_are_one_object_where_nothing_is_dynamic():
    a = {"$id": "a", "$anchor": "x"}
    for draft in (7, 2019, 2020):
        references = References({"$defs": {"a": a}}, draft)
        assert references.scope.entered(references.base) is references.scope
        assert references.scope.entered(references.enter(a, references.base)) is references.scope


def test_equal_scopes_are_one_object_and_the_outermost_stays():
    schema = {"$defs": {name: {"$id": name, "$dynamicAnchor": "n"} for name in "ab"}}
    schema["$defs"]["c"] = {"$id": "c", "$dynamicAnchor": "m"}
    references = References(schema, 2020)
    a, b, c = (references.resolve(name, references.base).base for name in "abc")
    start = references.scope
    assert start.entered(a).entered(b) is start.entered(a)
    assert start.entered(a).entered(c) is start.entered(c).entered(a)
    assert start.entered(a) is not start.entered(b)
    assert references.dynamic("#n", b, start.entered(a).entered(b)).base is a
    assert references.dynamic("#n", b, start.entered(b).entered(a)).base is b
    assert references.dynamic("b#n", c, start.entered(c)).base is b


def test_a_resource_adds_to_a_scope_the_dynamic_anchors_that_are_new():
    a = {"$id": "a", "$dynamicAnchor": "n", "not": {"$dynamicAnchor": "m"}}
    b = {"$id": "b", "$dynamicAnchor": "n"}
    references = References({"$dynamicAnchor": "n", "$defs": {"a": a, "b": b}}, 2020)
    a, b = (references.resolve(name, references.base).base for name in "ab")
    after = references.scope.entered(b).entered(a)
    assert references.scope.entered(b) is references.scope
    assert (after.outermost("n"), after.outermost("m"), after.outermost("k")) == (references.base, a, None)


def test_a_dynamic_reference_without_a_dynamic_anchor_is_static():
    schema = {"$dynamicAnchor": "n", "$defs": {"a": {"$id": "a", "$anchor": "n"}}}
    references = References(schema, 2020)
    a = references.resolve("a", references.base).base
    scope = references.scope.entered(a)
    assert references.dynamic("#n", a, scope).base is a
    assert references.dynamic("#", a, scope).base is a
    assert references.dynamic("#/$defs/a", references.base, scope).base is a


def test_dynamic_anchors_with_odd_names_are_names():
    """A pointer is one whatever anchors there are, and a name is decoded once."""
    odd = {"$dynamicAnchor": "a%41", "$defs": {"p": {"$dynamicAnchor": "/$defs/p"}}}
    references = References({**odd, "$defs": {**odd["$defs"], "i": {"$id": "i", **odd}}}, 2020)
    inner = references.resolve("i", references.base).base
    scope = references.scope.entered(inner)
    assert references.dynamic("#a%2541", inner, scope).base is references.base
    assert references.dynamic("#/$defs/p", inner, scope).base is inner


def test_recursive_references_go_to_the_outermost_recursive_anchor_from_2019_09_alone():
    """Outermost of the whole scope (core 8.2.4.2.1), whatever resources without the anchor were entered in between."""
    tree = {"$id": "tree", "$recursiveAnchor": True, "properties": {"child": {"$recursiveRef": "#"}}}
    plain = {"$id": "plain", "$ref": "tree"}
    schema = {"$id": "http://x/strict", "$recursiveAnchor": True, "$ref": "plain", "$defs": {"t": tree, "p": plain}}
    schema["required"] = ["name"]
    references = References(schema, 2019)
    plain_base, tree_base = (references.resolve(name, references.base).base for name in ("plain", "tree"))
    scope = references.scope.entered(plain_base).entered(tree_base)
    assert references.dynamic("#", tree_base, scope).schema is schema
    assert references.dynamic("#", plain_base, scope).schema is plain
    with pytest.raises(bridle.GrammarError, match=r"\$recursiveRef must be '#'"):
        references.dynamic("#/x", tree_base, scope)
    assert not Validator(schema, 2019).accepts({"name": 1, "child": {}})
    assert Validator(schema, 2019).accepts({"name": 1, "child": {"name": 2}})
    schema["$recursiveAnchor"] = False
    assert Validator(schema, 2019).accepts({"name": 1, "child": {}})


def test_a_schema_extends_a_metaschema_by_its_dynamic_anchor():
    schema = {
        "$id": "http://x/strict-schema",
        "$dynamicAnchor": "meta",
        "$ref": "https://json-schema.org/draft/2020-12/schema",
        "required": ["title"],
    }
    assert Validator(schema, 2020).accepts({"title": "a", "properties": {"b": {"title": "b"}}})
    assert not Validator(schema, 2020).accepts({"title": "a", "properties": {"b": {}}})


# ------------------------------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("schema", "reference", "message"),
    [
        ({"$defs": {"a": {}, "b": {}}}, "#/$defs/c", "leads nowhere: there is no 'c' in /$defs, which has 'a', 'b'"),
        ({}, "#/$defs/c", "leads nowhere: there is no '$defs' in the root, which has no members"),
        ({"allOf": [{}]}, "#/allOf/1", "there is no '1' in /allOf, an array of 1"),
        ({"allOf": [{}]}, "#/allOf/00", "there is no '00' in /allOf"),
        ({"allOf": [{}]}, "#/allOf/-", "there is no '-'"),
        ({"allOf": [{}]}, "#/allOf/" + "9" * 5000, "an array of 1"),
        ({"allOf": [{}]}, "#/allOf/٠", "there is no '٠'"),
        ({"title": "x"}, "#/title/0", "there is no '0' in /title, which has no members"),
        ({"title": "x"}, "#/title", "names 'x', not a schema"),
        ({"required": []}, "#/required", "names an array, not a schema"),
        ({"$defs": {"a": None}}, "#/$defs/a", "names None, not a schema"),
        ({"$defs": {"a": {}}}, "#$defs/a", "'#/$defs/a' is a pointer"),
        ({"$defs": {"a": {"$anchor": 1}}}, "#a", 'declare it with "$anchor": "a"'),
        ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, "#x", "is ambiguous"),
        ({"$defs": {"a": {"$anchor": "x"}, "b": {"$dynamicAnchor": "x"}}}, "#x", "both have the anchor 'x'"),
        ({"$id": "http://x/", "not": {"$id": "http://x/"}}, "http://x/", "both have the URI 'http://x/'"),
        ({"unknown": {"$anchor": "x"}}, "#x", "no schema there has the anchor 'x'"),
        ({}, 5, "a reference is a string"),
        ({}, ["#"], "a reference is a string"),
    ],
)
def test_what_leads_nowhere_is_an_error_with_place_and_remedy(schema, reference, message):
    with pytest.raises(bridle.GrammarError) as caught:
        target(schema, reference)
    assert message in str(caught.value)
    assert (caught.value.pointer, caught.value.keyword) == ("/$ref", "$ref")
    assert not isinstance(caught.value, bridle.UnsupportedError)


@pytest.mark.parametrize(
    ("schema", "reference", "uri"),
    [
        ({}, "https://example.com/other.json", "https://example.com/other.json"),
        ({}, "file:///etc/passwd", "file:///etc/passwd"),
        ({}, "name", "name"),
        ({"$id": "http://x/a/b"}, "../c.json#/d", "http://x/c.json"),
        ({}, "http://json-schema.org/draft-03/schema#", "http://json-schema.org/draft-03/schema"),
        ({}, "https://json-schema.org/draft/2020-12/nothing", "https://json-schema.org/draft/2020-12/nothing"),
        ({"enum": [{"$id": "http://x/"}]}, "http://x/", "http://x/"),
        ({"unknown": {"$id": "http://x/"}}, "http://x/", "http://x/"),
    ],
)
def test_what_leads_out_is_refused_by_name(schema, reference, uri):
    with pytest.raises(bridle.UnsupportedError) as caught:
        target(schema, reference)
    assert repr(reference) in caught.value.what
    assert f'embed the schema under $defs, with "$id": "{uri}"' in caught.value.reason
    assert (caught.value.pointer, caught.value.keyword) == ("/$ref", "$ref")


@pytest.mark.parametrize(("draft", "keyword"), [(4, "id"), (7, "$id"), (2020, "$id")])
def test_an_identifier_that_is_no_string_is_an_error_where_it_is_entered_alone(draft, keyword):
    schema = {"definitions": {"bad": {keyword: 5, "not": {keyword: "x"}}}}
    for wrong in (5, None):
        with pytest.raises(bridle.GrammarError, match="an identifier is a string") as caught:
            Algebra({"$schema": METASCHEMAS[draft], keyword: wrong})
        assert caught.value.pointer == f"/{keyword}"
    references = References(schema, draft)
    assert references.resolve("x", references.base).pointer == "/definitions/bad/not"
    with pytest.raises(bridle.GrammarError, match="an identifier is a string") as caught:
        references.enter(schema["definitions"]["bad"], references.base, "/definitions/bad")
    assert caught.value.pointer == f"/definitions/bad/{keyword}"


@pytest.mark.parametrize("reference", ["#\ud800", "#\ud800/a", "\ud800", "#/\ud800", "a\n#b"])
def test_errors_can_be_printed_whatever_the_reference(reference):
    for draft in (4, 2020):
        with pytest.raises(bridle.GrammarError) as caught:
            target({}, reference, draft)
        assert str(caught.value).encode()
        assert "\n" not in str(caught.value)


def test_one_place_that_is_two_resources_by_the_ways_to_it_is_refused():
    """A pointer into an unknown keyword passes over the identifiers on its way; by steps they count."""
    schema = {"$id": "http://x/root", "unknown": {"$id": "http://x/sub/", "not": {"$id": "inner"}}}
    for ways in (["#/unknown"], ["#/unknown/not"]):
        assert not Algebra({**schema, "allOf": [{"$ref": way} for way in ways]}).refused
    with pytest.raises(bridle.GrammarError, match="by the way that leads here: let its \\$id be an absolute URI"):
        Algebra({**schema, "allOf": [{"$ref": "#/unknown"}, {"$ref": "#/unknown/not"}]})


def test_duplicates_are_no_error_until_a_reference_names_them():
    schema = {"allOf": [{"$id": "a"}, {"$id": "a"}, {"$anchor": "b"}, {"$anchor": "b"}, {"$id": "c", "$anchor": "b"}]}
    references = References(schema, 2020)
    assert references.resolve("c#b", references.base).pointer == "/allOf/4"
    assert len({references.enter(one, references.base) for one in schema["allOf"][:2]}) == 2


@pytest.mark.parametrize("draft", [4, 6, 7, 2019, 2020])
@pytest.mark.parametrize("wrong", [None, 0, "x", [], {}, [[]], {"a": []}, [{"$id": 1}], True])
def test_malformed_keywords_identify_nothing_and_stop_nothing(draft, wrong):
    words = ["properties", "allOf", "items", "definitions", "not", "$id", "id", "$anchor", "$dynamicAnchor", "$schema",
             "dependencies", "$defs", "prefixItems", "$recursiveAnchor"]  # fmt: skip
    for word in words:
        sub = {word: wrong}
        schema = {word: wrong, "anyOf": [sub, {"id": "here", "$id": "here"}]}
        references = References(schema, draft)
        scope = references.scope.entered(references.base)
        assert references.resolve("here" if word not in ("$id", "id") else "#", references.base)
        with pytest.raises(bridle.GrammarError):
            references.resolve("#anchor", references.base)
        assert scope is references.scope


def random_json(rng, depth):
    words = ["$id", "id", "$ref", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor",
             "$schema", "properties", "allOf", "items", "not", "$defs", "definitions", "dependencies", "a"]  # fmt: skip
    texts = ["a", "#a", "#", "", "#/$defs/a", "b/", "http://[", "%", "#%", "#/%zz/~2", "a#b", "?", "//", "..", "\ud800",
             "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"]  # fmt: skip
    kind = rng.randrange(8)
    if depth == 0 or kind == 0:
        return rng.choice([None, True, False, 0, 1.5, *texts, *texts])
    if kind == 1:
        return [random_json(rng, depth - 1) for _ in range(rng.randrange(3))]
    return {rng.choice(words): random_json(rng, depth - 1) for _ in range(rng.randrange(5))}


@pytest.mark.parametrize("draft", [4, 6, 7, 2019, 2020])
def test_whatever_a_document_holds_only_grammar_errors_leave(draft):
    rng = random.Random(draft)
    outcomes = set()
    for _ in range(2000):
        root = random_json(rng, 5)
        references = References(root, draft)
        bases, scope = [references.base], references.scope
        for pointer, value in places(root):
            at = rng.choice(bases)
            asked = [
                (lambda *place: place[0].enter(*place[1:4])),
                (lambda references, value, at, pointer, _: references.resolve("#" + pointer, at).base),
                (lambda references, value, at, *_: references.resolve(value, at).base),
                (lambda references, value, at, _, scope: references.dynamic(value, at, scope).base),
            ]
            for ask in asked:
                try:
                    bases.append(ask(references, value, at, pointer, scope))
                    outcomes.add("found")
                except bridle.GrammarError as error:
                    assert error.pointer is not None
                    outcomes.add(type(error))
            scope = rng.choice((scope, references.scope)).entered(bases[-1])
    assert outcomes == {"found", bridle.GrammarError, bridle.UnsupportedError}


def test_loops_resolve_one_step_at_a_time():
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    references = References(schema, 2020)
    assert references.resolve("#/$defs/a", references.base) is references.resolve("#/$defs/a", references.base)
    assert references.resolve("#", references.base).schema is schema


def test_deep_schemas_are_walked_without_recursion():
    schema = leaf = {"$id": "http://x/"}
    for i in range(5000):
        leaf["not"] = {"$id": f"{i}/"} if i % 10 == 0 else {}
        leaf = leaf["not"]
    leaf["$anchor"] = "bottom"
    references = References(schema, 2020)
    bottom = references.resolve("#" + "/not" * 5000, references.base)
    assert bottom.schema is leaf
    assert references.resolve("#bottom", bottom.base).schema is leaf
    assert bottom.base.uri == "http://x/" + "".join(f"{i}/" for i in range(0, 5000, 10))


def test_objects_that_contain_themselves_end():
    schema = {"properties": {}}
    schema["properties"]["a"] = {"$anchor": "x", "items": schema}
    assert target(schema, "#x").pointer == "/properties/a"


def test_one_object_in_two_resources_is_refused():
    shared = {"$id": "relative"}
    schema = {"$defs": {"a": {"$id": "http://a/", "not": shared}, "b": {"$id": "http://b/", "not": shared}}}
    references = References(schema, 2020)
    for way in ("#/$defs/a/not", "#/$defs/a/not"):
        assert references.resolve(way, references.base).base.uri == "http://a/relative"
    with pytest.raises(bridle.GrammarError, match="copy it"):
        references.resolve("#/$defs/b/not", references.base)


# ------------------------------------------------------------------------------------------------ cost


def test_pointers_and_plain_subschemas_do_not_walk_the_document(monkeypatch):
    def walk(self, document):
        raise AssertionError("walked")

    monkeypatch.setattr(References, "_walk", walk)
    schema = {"$id": "http://x/", "definitions": {"a": {"$id": "#a", "properties": {"b": {"$id": "c"}}}}}
    for draft in (7, 2019, 2020):
        references = References(schema, draft)
        found = references.resolve("#/definitions/a/properties/b", references.base)
        assert references.scope.entered(references.base) is references.scope
        assert found.base.uri == "http://x/c"
        if draft < 2020:
            assert references.scope.entered(found.base) is references.scope


# ------------------------------------------------------------------------------------------------ given resources

GIVEN = {
    "http://example.com/name": {"type": "string", "maxLength": 3},
    "http://example.com/defs.json": '{"$defs": {"half": {"multipleOf": 0.5}, "sized": {"$ref": "name"}}}',
    "http://example.com/moved": {
        "$id": "http://elsewhere.org/base/",
        "$defs": {"in": {"$id": "in", "const": 1}, "by": {"$ref": "in"}},
    },
    "urn:example:any": True,
}


def given(reference: str, **options) -> bridle.Grammar:
    return bridle.Grammar.from_json_schema({"$ref": reference}, resources=GIVEN, **options)


@pytest.mark.parametrize(
    ("reference", "text", "other"),
    [
        ("http://example.com/name", '"abc"', '"abcd"'),
        ("http://example.com/defs.json#/$defs/half", "1.5", "1.25"),
        ("http://example.com/defs.json#/$defs/sized", '"a"', "1"),
        ("http://example.com/moved#/$defs/by", "1", "2"),
        ("http://elsewhere.org/base/in", "1", "2"),
        ("urn:example:any", "[2]", "[,"),
    ],
)
def test_a_reference_names_a_resource_that_is_given_beside_the_schema(reference, text, other):
    grammar = given(reference)
    assert bridle.validate(grammar, text).ok
    assert not bridle.validate(grammar, other).ok


def test_what_is_not_among_the_given_resources_is_refused_with_the_remedy():
    with pytest.raises(bridle.UnsupportedError, match=r"give it in resources"):
        given("http://example.com/other")


def test_an_error_in_a_given_resource_names_it():
    with pytest.raises(bridle.GrammarError, match=r"the resource 'http://x/y' is not JSON"):
        bridle.Grammar.from_json_schema({"$ref": "http://x/y"}, resources={"http://x/y": "{"})
    with pytest.raises(bridle.GrammarError) as caught:
        bridle.Grammar.from_json_schema({"$ref": "http://x/y"}, resources={"http://x/y": {"items": 3}})
    assert caught.value.pointer == "http://x/y#/items"


def test_a_resource_of_another_draft_is_refused_by_name():
    other = {"$schema": "http://json-schema.org/draft-07/schema#"}
    with pytest.raises(bridle.UnsupportedError, match="another draft"):
        bridle.Grammar.from_json_schema({"$ref": "http://x/y"}, resources={"http://x/y": other})
