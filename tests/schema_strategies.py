"""Hypothesis strategies for JSON schemas with every keyword that asserts, and for values that are nearly valid.

Idea: what breaks an engine is small and overlapping: names that share prefixes and match the same patterns, bounds that
almost exclude each other, keywords that look at the same value from several subschemas. So there are few names,
constants and patterns, schemas are shallow, and any group of keywords may stand beside any other. A *focus* names the
groups that a schema is mostly made of, so that a failure says what it is about and rare keywords meet each other.

References are guarded: one inside a definition stands below a member or an item, so that no schema leads back to itself
in place, where the standard leaves the meaning open.

Values come from the schema: `instances` gathers the subschemas that apply in a place, following one branch of every
choice, takes names, constants, bounds and lengths from them, and now and then strays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

__all__ = ["DRAFTS", "FOCI", "NAME_PATTERNS", "PATTERNS", "instances", "json_texts", "schemas"]

T = TypeVar("T")

DRAFTS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}

# Whether numbers are drawn that json.dumps writes with an exponent.
EXPONENTS = True

# What schemas of a focus are mostly made of; `everything` is the union.
FOCI = {
    "numbers": ("number", "number", "enum", "logic"),
    "strings": ("string", "string", "enum", "logic"),
    "formats": ("format", "format", "string", "logic"),
    "arrays": ("array", "array", "number", "enum"),
    "contains": ("contains", "contains", "array", "enum"),
    "objects": ("object", "object", "counts", "number", "enum"),
    "names": ("names", "names", "object", "string"),
    "dependents": ("dependents", "dependents", "object", "counts"),
    "logic": ("logic", "logic", "object", "array", "number", "string"),
    "references": ("reference", "reference", "object", "array", "logic"),
    "unevaluated": ("unevaluated", "unevaluated", "object", "names", "array", "contains", "logic", "dependents"),
}
FOCI["everything"] = tuple(dict.fromkeys(group for groups in FOCI.values() for group in groups))

_NAMES = ("a", "ab", "b", "é", "")
_TEXTS = ("", "a", "ab", "b", "é", "aab", "😀", 'a"', "a\\", "\n", "12", "bb", "aé")
_NUMBERS = (0, 1, 2, 3, 5, 10, -1, -3, 0.5, 1.5, -0.25, 9.99)
_DIVISORS = (1, 2, 3, 5, 7, 0.5, 0.1, 0.01, 2.5, 0.25)
PATTERNS = (
    *("a", "^a", "b$", "^[ab]+$", "^é?a*$", "^(ab|😀)*$", "[^a]", "^.$", "^$", "", r"^\d+$", r"^\w*$", "^.{2,3}$"),
    *("a(?=b)", "^(?!a)", "^(?=.*b)a", "^(?!.*bb)", r"^(?=\w*$).{1,3}$"),
)
NAME_PATTERNS = ("a", "^a", "b$", "^.$", "^[ab]*$", "é", "^(?!a)", "^x")
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
# By format: texts that have it and texts that nearly do; no A-labels, which bridle leaves out and notes.
_FORMAT_TEXTS = {
    "date": ("2024-02-29", "2023-02-29", "2000-12-31", "2000-1-01", "0000-02-29"),
    "time": ("12:00:00Z", "23:59:60Z", "12:00:60Z", "01:29:60.5+01:30", "24:00:00Z", "12:00:00", "12:00:00.25-08:00"),
    "date-time": (
        "2024-02-29T23:59:59z",
        "2023-02-29T00:00:00Z",
        "2000-01-01 00:00:00Z",
        "2000-01-01t00:00:00.1+00:00",
    ),
    "duration": ("P1D", "P1Y2M", "P1Y2D", "PT1H30S", "PT1H3M5S", "P2W", "P2W1D", "P", "PT", "P1DT1M"),
    "ipv4": ("127.0.0.1", "256.0.0.1", "01.2.3.4", "255.255.255.255", "1.2.3"),
    "ipv6": ("::", "::1", "1::2::3", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:7::", "12345::", "1::2%a"),
    "uuid": ("00000000-0000-0000-0000-00000000000F", "00000000-0000-0000-0000-0000000000", "g" * 36),
    "email": ("a@b", "a.b@c.d", "a..b@c", '"a b"@c', "@b", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@-b"),
    "hostname": ("a", "a-b.c", "-a", "a.", "a" * 64, "a_b", "A1.b2", "a--b"),
    "json-pointer": ("", "/", "/a~0/b~1", "/a~", "a", "/é"),
    "relative-json-pointer": ("0", "0#", "1/a", "01", "2/~2", "10#"),
    "uri": ("a:b", "http://a.b/c?d#e", "//a", "http://[::1]:80/", "http://a b", "a:%41", "a:%4"),
    "uri-reference": ("", "a", "//a/b", "1:b", "./1:b", "#a", "a\\b", "?q"),
    "uri-template": ("", "a{b}", "{a", "{+a,b*,c:3}", "{}", "é", "a b"),
}


class _Draw:
    """The few ways in which choices are made here."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def one_in(self, n: int) -> bool:
        return self.draw(st.integers(0, n - 1)) == n - 1  # shrinks to False

    def among(self, items: Sequence[T]) -> T:
        return self.draw(st.sampled_from(items))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def some(self, items: Sequence[T], low: int, high: int) -> list[T]:
        """Between low and high different ones; one that is listed twice is twice as likely."""
        found: list[T] = []
        for _ in range(self.number(low, high)):
            left = [item for item in items if item not in found]
            if left:
                found.append(self.among(left))
        return found

    def value(self, depth: int = 1) -> Any:
        """A small JSON value."""
        kind = self.number(0, 6 if depth else 4)
        if kind == 5:
            return [self.value(depth - 1) for _ in range(self.number(0, 2))]
        if kind == 6:
            return {name: self.value(depth - 1) for name in self.some(_NAMES, 0, 2)}
        return (None, self.one_in(2), self.among(_NUMBERS), self.among(_TEXTS), self.number(-3, 12))[kind]


# ------------------------------------------------------------------------------------------------ schemas


# Where a schema stands: below a member or an item; in place at the root; in place in a definition.
_GUARDED, _IN_ROOT, _IN_DEFINITION = range(3)


class _Schemas(_Draw):
    """Draws one schema. `names` are its definitions; `anchored`: they are referred to by anchors, too."""

    def __init__(self, draw: st.DrawFn, draft: int, groups: tuple[str, ...]) -> None:
        super().__init__(draw)
        self.draft, self.groups = draft, groups
        self.keyword = "$defs" if draft >= 2019 else "definitions"
        wants = "reference" in groups and self.number(0, 3)
        self.names = list(("x", "y")[: self.number(1, 2)]) if wants else []
        self.anchored = draft >= 6 and bool(self.names) and self.one_in(3)

    def root(self, depth: int) -> dict | bool:
        out = self.schema(depth, _IN_ROOT, root=True)
        if isinstance(out, bool):
            return out
        definitions = {name: self.schema(depth - 1, _IN_DEFINITION) for name in self.names}
        if self.anchored:
            definitions = {name: self.anchoring(name, schema) for name, schema in definitions.items()}
        if self.draft <= 7 and "$ref" in out:  # what stands beside a reference does not exist there
            out = {"allOf": [out]}
        if definitions:
            out[self.keyword] = definitions
        return {"$schema": DRAFTS[self.draft], **out} if self.draft != 2020 or self.one_in(3) else out

    def anchoring(self, name: str, schema: dict | bool) -> dict:
        """The schema with its name as an anchor."""
        if isinstance(schema, bool):
            schema = {} if schema else {"not": {}}
        if self.draft < 2019:
            return {"$id": f"#{name}", **schema}
        return {"$dynamicAnchor" if self.draft == 2020 and self.one_in(2) else "$anchor": name, **schema}

    def schema(self, left: int, place: int, root: bool = False) -> dict | bool:
        if not root and self.one_in(8):
            return self.among([True, True, False]) if self.draft >= 6 else {}
        out: dict[str, Any] = {}
        if self.number(0, 2) == 0:
            out["type"] = self.types()
        for group in self.some(self.groups, 1, 2 if left < 2 else 3):
            out |= getattr(self, f"_{group}")(left - 1, place)
        if "type" not in out and self.one_in(2):
            out = {"type": self.fitting(out), **out} if self.fitting(out) else out
        return out

    def inner(self, left: int) -> dict | bool:
        """A schema of a member or an item."""
        return self.schema(left, _GUARDED) if left > 0 else self.leaf(_GUARDED)

    def leaf(self, place: int) -> dict | bool:
        kind = self.number(0, 6)
        if kind == 0:
            return True if self.draft >= 6 else {}
        if kind == 1:
            # Up to draft 4 a "const" says nothing.
            if self.draft <= 4 and self.one_in(2):
                return {"const": self.value(0)}
            return {"enum": [self.value(0) for _ in range(self.number(1, 2))]}
        if kind == 2:
            return self._string(0, _GUARDED)
        if kind == 3:
            return self._number(0, _GUARDED)
        if kind == 4 and self.names:
            # Up to draft 7 nothing beside a reference says anything.
            beside = {"enum": [self.value(0)]} if self.draft <= 7 and self.one_in(2) else {}
            return {**self._reference(0, place), **beside}
        return {"type": self.types()}

    def types(self) -> str | list[str]:
        return self.among(_TYPES) if self.number(0, 2) else self.some(_TYPES, 1, 3)

    def fitting(self, out: dict[str, Any]) -> str | None:
        """The type that the keywords are about, if they are about one."""
        about = {
            "string": ("minLength", "maxLength", "pattern", "format"),
            "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
            "array": ("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems", "unevaluatedItems"),
            "object": ("properties", "required", "additionalProperties", "patternProperties", "propertyNames",
                       "minProperties", "dependentRequired", "unevaluatedProperties"),
        }  # fmt: skip
        found = [name for name, keywords in about.items() if any(k in out for k in keywords)]
        return found[0] if len(found) == 1 else None

    def counts(self, kind: str, most: int) -> dict[str, int]:
        out = {}
        if self.one_in(2):
            out[f"min{kind}"] = self.number(0, most)
        if self.one_in(2):
            low = out.get(f"min{kind}", 0)
            out[f"max{kind}"] = self.number(low if self.number(0, 7) else 0, most + 1)
        return out

    # Groups of keywords: (how deep subschemas may be, the place) -> keywords.

    def _number(self, left: int, place: int) -> dict:
        out: dict[str, Any] = {}
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if self.one_in(3):
                out[bound] = self.among(_NUMBERS)
                if self.draft == 4 and self.one_in(2):
                    out[exclusive] = self.one_in(2)
            if self.draft > 4 and self.one_in(4):
                out[exclusive] = self.among(_NUMBERS)
        if self.one_in(3) or not out:
            out["multipleOf"] = self.among(_DIVISORS)
        return out

    def _string(self, left: int, place: int) -> dict:
        out: dict[str, Any] = self.counts("Length", 3)
        if self.one_in(2) or not out:
            out["pattern"] = self.among(PATTERNS)
        return out

    def _format(self, left: int, place: int) -> dict:
        return {"format": self.among(tuple(_FORMAT_TEXTS))}

    def _enum(self, left: int, place: int) -> dict:
        if self.draft >= 6 and self.one_in(3):
            return {"const": self.value(2)}
        return {"enum": [self.value(2) for _ in range(self.number(1, 4))]}

    def _array(self, left: int, place: int) -> dict:
        out: dict[str, Any] = self.counts("Items", 3)
        first = [self.inner(left) for _ in range(self.number(0, 2))]
        if self.draft == 2020:
            if first:
                out["prefixItems"] = first
            if self.one_in(2):
                out["items"] = self.inner(left)
        elif first:
            out["items"] = first
            if self.one_in(2):
                out["additionalItems"] = self.one_in(2) if self.one_in(2) else self.inner(left)
        elif self.one_in(2):
            out["items"] = self.inner(left)
        if self.one_in(3) or not out:
            out["uniqueItems"] = True
        return out

    def _contains(self, left: int, place: int) -> dict:
        if self.draft < 6:
            return self._array(left, place)
        out: dict[str, Any] = {"contains": self.inner(left)}
        return out | (self.counts("Contains", 2) if self.draft >= 2019 else {})

    def _object(self, left: int, place: int) -> dict:
        names = self.some(_NAMES, 0, 3)
        out: dict[str, Any] = {"properties": {name: self.inner(left) for name in names}} if names else {}
        if self.one_in(2):
            out["required"] = self.some([*names, *_NAMES], 1, 2)
        if self.one_in(2) or not out:
            out["additionalProperties"] = self.among([False, False, True]) if self.one_in(2) else self.inner(left)
        return out

    def _names(self, left: int, place: int) -> dict:
        out: dict[str, Any] = {}
        if self.number(0, 2):
            out["patternProperties"] = {p: self.inner(left) for p in self.some(NAME_PATTERNS, 1, 2)}
        if self.draft >= 6 and (self.one_in(3) or not out):
            named = self.number(0, 3)
            if named == 0:
                out["propertyNames"] = {"enum": self.some([*_NAMES, "c"], 1, 3)}
            else:
                out["propertyNames"] = self._string(0, _GUARDED) if named < 3 else self.leaf(_GUARDED)
        if self.one_in(3):
            out["additionalProperties"] = False
        return out

    def _counts(self, left: int, place: int) -> dict:
        return self.counts("Properties", 3) or {"minProperties": 1}

    def _dependents(self, left: int, place: int) -> dict:
        needs = {name: self.some(_NAMES, 0, 2) for name in self.some(_NAMES, 1, 2)}
        if self.draft == 4:
            needs = {name: names or ["a"] for name, names in needs.items()}
        schemas = {name: self.schema(left, place) if left > 0 else self.leaf(place) for name in self.some(_NAMES, 0, 1)}
        if self.draft <= 7:
            return {"dependencies": needs | schemas}
        return {"dependentRequired": needs} | ({"dependentSchemas": schemas} if schemas else {})

    def _logic(self, left: int, place: int) -> dict:
        def inner() -> dict | bool:
            return self.schema(left, place) if left > 0 else self.leaf(place)

        kind = self.among(["anyOf", "oneOf", "allOf", "not", "if"])
        if kind == "not":
            return {"not": inner()}
        if kind != "if" or self.draft < 7:
            return {kind if kind != "if" else "oneOf": [inner() for _ in range(self.number(1, 3))]}
        out = {"if": inner()}
        for keyword in self.some(["then", "else"], 1, 2):
            out[keyword] = inner()
        return out

    def _reference(self, left: int, place: int) -> dict:
        if place == _IN_DEFINITION or (place == _IN_ROOT and not self.names):
            return {}
        if place == _GUARDED and (not self.names or self.one_in(4)):
            return {"$recursiveRef" if self.draft == 2019 and self.one_in(4) else "$ref": "#"}
        name = self.among(self.names)
        if self.anchored and self.one_in(2):
            return {"$dynamicRef" if self.draft == 2020 and self.one_in(3) else "$ref": f"#{name}"}
        return {"$ref": f"#/{self.keyword}/{name}"}

    def _unevaluated(self, left: int, place: int) -> dict:
        if self.draft < 2019:
            return self._object(left, place)
        out = {}
        for keyword in self.some(["unevaluatedProperties", "unevaluatedItems"], 1, 2):
            out[keyword] = self.inner(left) if self.one_in(3) else False
        return out


@st.composite
def schemas(draw: st.DrawFn, draft: int = 2020, focus: str = "everything", depth: int = 2) -> dict | bool:
    """A schema of a draft (4, 6, 7, 2019 or 2020), named by `$schema` where it is not 2020-12."""
    return _Schemas(draw, draft, FOCI[focus]).root(depth)


# ------------------------------------------------------------------------------------------------ values


class _Values(_Draw):
    """Draws values near a schema: a place has a list of schemas that apply there."""

    def __init__(self, draw: st.DrawFn, root: Any, stray: int) -> None:
        super().__init__(draw)
        self.root, self.stray = root, stray

    def near(self, schemas: list[Any], left: int) -> Any:
        flat = [found for schema in schemas for found in self.flat(schema, 0)]
        if left < 0 or self.one_in(self.stray):
            return self.value()
        constants = [value for s in flat for value in ([s["const"]] if "const" in s else s.get("enum", ()))]
        if constants and self.number(0, 7):
            return self.among(constants)
        kind = self.kind(flat)
        if kind == "object":
            return self.members(flat, left)
        if kind == "array":
            return self.items(flat, left)
        if kind == "string":
            return self.text(flat)
        if kind in ("integer", "number"):
            return self.quantity(flat, kind)
        return self.one_in(2) if kind == "boolean" else None

    def flat(self, schema: Any, followed: int) -> list[dict]:
        """The schemas without applicators in place that one way through the choices comes to."""
        if not isinstance(schema, dict) or followed > 5:
            return []
        inner = list(schema.get("allOf", ()))
        for keyword in ("anyOf", "oneOf"):
            if schema.get(keyword):
                inner.append(self.among(schema[keyword]))
        if "if" in schema:
            inner += [schema["if"], schema.get("then")] if self.one_in(2) else [schema.get("else")]
        for keyword in ("$ref", "$recursiveRef", "$dynamicRef"):
            if keyword in schema:
                inner.append(self.target(schema[keyword]))
        for dependent in (*schema.get("dependentSchemas", {}).values(), *schema.get("dependencies", {}).values()):
            if isinstance(dependent, dict) and self.one_in(2):
                inner.append(dependent)
        return [schema, *(found for part in inner for found in self.flat(part, followed + 1))]

    def target(self, reference: str) -> Any:
        at = self.root
        if not isinstance(at, dict) or reference == "#":
            return at
        definitions = at.get("$defs", at.get("definitions", {}))
        return definitions.get(reference.rpartition("/")[2].lstrip("#"))

    def kind(self, flat: list[dict]) -> str:
        left = list(_TYPES)
        for schema in flat:
            types = schema.get("type", _TYPES)
            named = [types] if isinstance(types, str) else types
            left = [t for t in left if t in named or (t == "integer" and "number" in named)] or left
        about = {
            "object": ("ropert", "required", "depend"),
            "array": ("tems", "ontains"),
            "string": ("Length", "pattern", "format"),
            "number": ("imum", "multipleOf"),
        }
        keywords = [keyword for schema in flat for keyword in schema if keyword != "patternProperties"]
        wanted = [t for t in left for k in keywords for part in about.get(t, ()) if part in k]
        return self.among(wanted) if wanted and self.number(0, 5) else self.among(left)

    def bounds(self, flat: list[dict], kind: str, spread: int) -> tuple[int, int]:
        low = max([int(s.get(f"min{kind}", 0)) for s in flat], default=0)
        high = min([int(s[f"max{kind}"]) for s in flat if f"max{kind}" in s], default=low + spread)
        return low, max(low, high)

    def members(self, flat: list[dict], left: int) -> dict:
        declared = [name for s in flat for name in s.get("properties", ())]
        needed = [name for s in flat if isinstance(s.get("required"), list) for name in s["required"]]
        pool = list(dict.fromkeys([*declared, *_NAMES, "abb", "x", "bé"]))
        names = list(dict.fromkeys([*needed, *self.some(declared or pool, 0, 2)]))
        for s in flat:
            for keyword in ("dependentRequired", "dependencies"):
                for name, wanted in s.get(keyword, {}).items():
                    if name in names and isinstance(wanted, list) and self.number(0, 3):
                        names += [n for n in wanted if n not in names]
        low, high = self.bounds(flat, "Properties", 3)
        while len(names) < low or self.one_in(4):
            names.append(self.among(pool))
            low -= 1
        if len(names) > high and self.number(0, 3):
            names = names[:high]
        if self.one_in(3):
            names = list(self.draw(st.permutations(names)))
        return {name: self.near(self.of_member(flat, name), left - 1) for name in names}

    def of_member(self, flat: list[dict], name: str) -> list[Any]:
        out = []
        for s in flat:
            # Python's reading of the pattern will do: a value need only be near.
            own = [sub for pattern, sub in s.get("patternProperties", {}).items() if re.search(pattern, name)]
            own += [s["properties"][name]] if name in s.get("properties", {}) else []
            out += own or [s.get("additionalProperties", s.get("unevaluatedProperties"))]
        return out

    def items(self, flat: list[dict], left: int) -> list:
        low, high = self.bounds(flat, "Items", 2)
        low = max([low, *(int(s.get("minContains", 1)) for s in flat if "contains" in s)])
        count = self.number(low, max(low, min(high, low + 3)))
        if self.one_in(10):
            count += 1
        contained = [s["contains"] for s in flat if "contains" in s]
        out = []
        for i in range(count):
            of_item = self.of_item(flat, i)
            if contained and self.number(0, 2):
                of_item = [*of_item, self.among(contained)]
            out.append(self.near(of_item, left - 1))
        return out

    def of_item(self, flat: list[dict], i: int) -> list[Any]:
        out = []
        for s in flat:
            items, first = s.get("items"), s.get("prefixItems", ())
            if isinstance(items, list):
                first, items = items, s.get("additionalItems")
            out.append(first[i] if i < len(first) else s.get("unevaluatedItems") if items is None else items)
        return out

    def text(self, flat: list[dict]) -> str:
        formats = [s["format"] for s in flat if s.get("format") in _FORMAT_TEXTS]
        if formats and self.number(0, 7):
            return self.among(_FORMAT_TEXTS[self.among(formats)])
        if any("pattern" in s for s in flat) and self.number(0, 3):
            fitting = [t for t in (*_TEXTS, "abab", "aba", "1a", "éa", "ba", "a1b") if _fits(flat, t)]
            if fitting:
                return self.among(fitting)
        low, high = self.bounds(flat, "Length", 2)
        return self.draw(st.text(alphabet='abé😀"\\1', min_size=low, max_size=max(low, min(high, low + 3))))

    def quantity(self, flat: list[dict], kind: str) -> int | float:
        bounds = [s[k] for s in flat for k in s if k.endswith("imum") and not isinstance(s[k], bool)] or [0]
        found = self.among(bounds) + self.among([0, 0, 1, -1, 0.5, -0.25, 0.01, 10])
        divisors = [s["multipleOf"] for s in flat if "multipleOf" in s]
        if divisors and self.number(0, 5):
            divisor = self.among(divisors)
            found = (found // divisor + self.number(0, 1)) * divisor
        if self.one_in(6):
            return self.among(_ODD_NUMBERS)
        return int(found) if kind == "integer" and self.number(0, 5) else round(found, 4)


# As json.dumps writes them: a fraction of zero, more digits than a double has, exponents.
_ODD_NUMBERS: tuple[int | float, ...] = (10.0, 12345678901234567890, -0.0, 100.5)
if EXPONENTS:
    _ODD_NUMBERS += (1e16, 1e-7, 1.5e300, -2e-10, 1e22)


def _fits(flat: list[dict], text: str) -> bool:
    return all(re.search(s["pattern"], text) for s in flat if "pattern" in s)


@st.composite
def instances(draw: st.DrawFn, schema: dict | bool, stray: int = 14) -> Any:
    """A value that is often valid and often nearly so; about one place in `stray` is drawn at random."""
    return _Values(draw, schema, stray).near([schema], 3)


@st.composite
def json_texts(draw: st.DrawFn, value: Any) -> str:
    """What json.dumps writes of a value, with any of its options."""
    separators = draw(st.sampled_from([None, (",", ":"), (", ", ": "), (" ,", " : "), (",\n", ":\t")]))
    indent = draw(st.sampled_from([None, None, 0, 2, "\t"]))
    return json.dumps(value, separators=separators, indent=indent, ensure_ascii=draw(st.booleans()))
