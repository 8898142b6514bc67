"""Hypothesis strategies for grammars, schemas, values near them, and vocabularies.

Idea: what breaks an engine is small: names that share prefixes, characters of several bytes, tokens across structural
boundaries, rules that derive nothing. Each strategy draws from small sets of such things, so that shrinking ends in a
case that a reader can follow. Grammars may be empty or unproductive: a test compares the engine's refusal with the
oracle's `is_prefix(b"")`.
"""

import json
from typing import Any

from hypothesis import strategies as st

LETTERS = ("a", "b", "é", "€", "😀")
KEYS = ("a", "ab", "b", "é", "")
TEXTS = ("", "a", "ab", "b", "é", "éa", "😀", 'a"b', "a\\", "\n", "aaa")
PATTERNS = ("a", "^a", "b$", "^[ab]+$", "^é?a*$", "^(ab|😀)*$", "[^a]", "^.$", "^$", r"\d")


# Regular expressions.


@st.composite
def regexes(draw: st.DrawFn, anchors: bool = False, depth: int = 2) -> str:
    """A pattern that means the same in Python's re and in ECMA-262, if no `\\w`, `\\d`, `\\s` or `.` meets a
    character on which those disagree (none of LETTERS but é under `\\w`). `anchors`: `^` and `$` may occur."""
    classes = (".", r"\d", r"\s", r"\w", r"\W", "[ab]", "[a-cé]", "[^a]", "[^aé😀]", r"[\da]")
    atom = st.sampled_from([*LETTERS, *classes, r"\.", "-", r"\x61"])
    quantifier = st.sampled_from(["", "", "", "*", "+", "?", "*?", "{2}", "{1,2}", "{0,3}", "{2,}", "{0}"])

    def sequence(left: int) -> str:
        out = ""
        for _ in range(draw(st.integers(0 if left < depth else 1, 3))):
            if anchors and draw(st.integers(0, 9)) == 0:
                out += draw(st.sampled_from("^$"))
            elif left and draw(st.booleans()):
                out += f"({draw(st.sampled_from(['', '?:']))}{alternation(left - 1)}){draw(quantifier)}"
            else:
                out += draw(atom) + draw(quantifier)
        return out

    def alternation(left: int) -> str:
        return "|".join(sequence(left) for _ in range(draw(st.sampled_from([1, 1, 2, 3]))))

    return alternation(depth)


def regex_texts() -> st.SearchStrategy[str]:
    """Texts of the same alphabet."""
    return st.text(alphabet="".join(LETTERS) + "c1 .-_\n", max_size=6)


# EBNF.


@st.composite
def ebnf_grammars(draw: st.DrawFn, left_recursion: bool = False, rules: int = 4) -> str:
    """A GBNF grammar of a few rules with recursion.

    Without left recursion, a name that may stand at the left edge is that of a later rule: no cycle of left edges.
    """
    names = ["root", "a", "b-2", "c_"][: draw(st.integers(1, rules))]
    literals = ('"a"', '"b"', '"ab"', '"é"', '"😀"', r'"\n"', r'"\x41"')
    solid = st.sampled_from([*literals, "[ab]", "[a-cé]", "[^a]", r"[^é\n]", "."])
    suffix = st.sampled_from(["", "", "", "", "?", "*", "+", "{2}", "{0,2}", "{1,}"])

    def item(rule: int, guarded: bool, left: int) -> tuple[str, bool]:
        """A text, and whether it surely reads something."""
        allowed = names if guarded or left_recursion else names[rule + 1 :]
        kind = draw(st.sampled_from(["solid", "solid", "name", "group", "empty"]))
        after = draw(suffix)
        reads = after in ("", "+", "{2}", "{1,}")
        if kind == "name" and allowed:
            return draw(st.sampled_from(allowed)) + after, False
        if kind == "group" and left:
            body, inner = alternatives(rule, guarded, left - 1)
            return f"({body}){after}", inner and reads
        if kind == "empty":
            return '""', False
        return draw(solid) + after, reads

    def sequence(rule: int, guarded: bool, left: int) -> tuple[str, bool]:
        out, reads = [], False
        for _ in range(draw(st.integers(1, 3))):
            text, item_reads = item(rule, guarded or reads, left)
            out.append(text)
            reads = reads or item_reads
        return " ".join(out), reads

    def alternatives(rule: int, guarded: bool, left: int) -> tuple[str, bool]:
        found = [sequence(rule, guarded, left) for _ in range(draw(st.sampled_from([1, 1, 2, 3])))]
        return draw(st.sampled_from([" | ", "\n  | "])).join(t for t, _ in found), all(r for _, r in found)

    return "\n".join(f"{name} ::= {alternatives(i, False, 2)[0]}" for i, name in enumerate(names)) + "\n"


def ebnf_texts() -> st.SearchStrategy[str]:
    """Texts of the same alphabet."""
    return st.text(alphabet="abcé😀\nA", max_size=7)


# JSON.


def json_values(depth: int = 2) -> st.SearchStrategy[Any]:
    """Small JSON values."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-20, 120),
        st.sampled_from([0.5, 1.0, -1.5, 10.25, 99.99]),
        st.sampled_from(TEXTS),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
        max_leaves=2 * depth + 1,
    )


_NUMBERS = st.one_of(st.integers(-12, 120), st.sampled_from([0, 0.5, -0.5, 1.0, 2.25, 9.99, -10.1]))


@st.composite
def json_schemas(draw: st.DrawFn, depth: int = 2, refs: bool = True) -> dict | bool:
    """A schema of the first subset, nested `depth` deep; its `$defs` may be recursive. It may be unsatisfiable."""
    defs = draw(st.sampled_from([(), (), ("x",), ("x", "y/~")])) if refs else ()
    pointers = ["#", *("#/$defs/" + name.replace("~", "~0").replace("/", "~1") for name in defs)] if refs else []
    if not defs and refs and draw(st.integers(0, 3)):
        pointers = []

    def sized(low: str, high: str, most: int) -> dict:
        out = {}
        if draw(st.booleans()):
            out[low] = draw(st.integers(0, most))
        if draw(st.booleans()):
            out[high] = draw(st.integers(out.get(low, 0) if draw(st.integers(0, 9)) else 0, most + 2))
        return out

    def string() -> dict:
        out = sized("minLength", "maxLength", 3)
        if draw(st.integers(0, 2)) == 0:
            out["pattern"] = draw(st.sampled_from(PATTERNS))
        return out

    def number() -> dict:
        out = {}
        for low, high in (("minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum")):
            if draw(st.integers(0, 2)) == 0:
                out[low] = draw(_NUMBERS)
            if draw(st.integers(0, 2)) == 0:
                out[high] = draw(_NUMBERS)
        return out

    def array(left: int) -> dict:
        out = sized("minItems", "maxItems", 3)
        if draw(st.booleans()):
            out["items"] = schema(left - 1)
        if draw(st.integers(0, 2)) == 0:
            out["prefixItems"] = [schema(left - 1) for _ in range(draw(st.integers(1, 2)))]
        return out

    def object_(left: int) -> dict:
        names = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=3))
        out: dict = {"properties": {name: schema(left - 1) for name in names}} if names else {}
        if draw(st.booleans()):
            out["required"] = draw(st.lists(st.sampled_from([*names, *names, *KEYS]), unique=True, max_size=2))
        extra = draw(st.sampled_from(["absent", "absent", "false", "false", "schema", "true"]))
        if extra != "absent":
            out["additionalProperties"] = schema(left - 1) if extra == "schema" else extra == "true"
        return out

    def schema(left: int) -> dict | bool:
        kinds = ["scalar", "scalar", "constant", "boolean"]
        if left > 0:
            kinds += ["array", "object", "object", "object", "anyOf", "mixed"] + ["ref", "ref"] * bool(pointers)
        kind = draw(st.sampled_from(kinds))
        if kind == "boolean":
            return draw(st.sampled_from([True, True, {}, {"title": "t"}, False]))
        if kind == "constant":
            if draw(st.booleans()):
                return {"const": draw(json_values(1))}
            return {"enum": draw(st.lists(json_values(1), min_size=1, max_size=3))}
        if kind == "scalar":
            types = draw(st.sampled_from(["null", "boolean", "string", "string", "integer", "number", "number"]))
            out = {"type": types} if draw(st.integers(0, 9)) else {}
            return out | (string() if types == "string" else number() if types in ("integer", "number") else {})
        if kind == "array":
            return {"type": "array", **array(left)}
        if kind == "object":
            return {"type": "object", **object_(left)} if draw(st.integers(0, 9)) else object_(left)
        if kind == "ref":
            return {"$ref": draw(st.sampled_from(pointers))}
        branches = {"anyOf": [schema(left - 1) for _ in range(draw(st.integers(1, 3)))]}
        return branches if kind == "anyOf" else mixed(left) | (branches if draw(st.booleans()) else {})

    def mixed(left: int) -> dict:
        """Siblings that all apply."""
        types = draw(st.lists(st.sampled_from(["null", "string", "integer", "number", "array", "object"]), unique=True))
        out: dict = {"type": types} if types else {}
        for part in (string, number, lambda: array(left), lambda: object_(left)):
            if draw(st.booleans()):
                out |= part()
        if draw(st.integers(0, 3)) == 0:
            out["enum"] = draw(st.lists(json_values(1), min_size=1, max_size=4))
        if pointers and draw(st.integers(0, 2)) == 0:
            out["$ref"] = draw(st.sampled_from(pointers))
        return out

    root = schema(depth)
    if (defs or pointers) and isinstance(root, dict):
        root = dict(root)
        if defs:
            root["$defs"] = {name: schema(depth) for name in defs}
    elif pointers:
        root = {"$defs": {name: schema(depth) for name in defs}}
    return root


@st.composite
def instances(draw: st.DrawFn, schema: dict | bool, wrong: int = 12) -> Any:
    """A value that tends to be valid or nearly so; about one node in `wrong` is drawn at random."""

    def value(s: dict | bool, left: int, followed: int) -> Any:
        if isinstance(s, bool) or left < 0 or draw(st.integers(0, wrong)) == 0:
            return draw(json_values(1))
        if "const" in s:
            return s["const"]
        if s.get("enum"):
            return draw(st.sampled_from(s["enum"]))
        choices = list(s.get("anyOf", ()))
        if "$ref" in s and followed < 4 and (found := _pointed(schema, s["$ref"])) is not None:
            choices.append(found)
        if choices and draw(st.integers(0, 5)):
            return value(draw(st.sampled_from(choices)), left, followed + 1)
        return by_type(s, left)

    def by_type(s: dict, left: int) -> Any:
        types = s.get("type")
        if types is None:
            groups = {
                "object": ("properties", "required", "additionalProperties"),
                "array": ("items", "prefixItems", "minItems", "maxItems"),
                "string": ("minLength", "maxLength", "pattern"),
                "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
            }
            types = [t for t, keywords in groups.items() if any(k in s for k in keywords)] or ["null"]
        kind = draw(st.sampled_from(types)) if isinstance(types, list) and types else types or "null"
        if kind == "object":
            return members(s, left)
        if kind == "array":
            low, high = int(s.get("minItems", 0)), int(s.get("maxItems", s.get("minItems", 0) + 2))
            first = s.get("prefixItems", ())
            count = draw(st.integers(min(low, high), high))
            return [value(first[i] if i < len(first) else s.get("items", True), left - 1, 0) for i in range(count)]
        if kind in ("integer", "number"):
            return near(s, kind)
        if kind == "string":
            return text(s)
        return {"null": None, "boolean": draw(st.booleans())}[kind]

    def members(s: dict, left: int) -> dict:
        declared, required = s.get("properties", {}), s.get("required", [])
        extra = s.get("additionalProperties", True)
        names = [n for n in [*declared, *required] if n in required or draw(st.booleans())]
        if extra is not False and draw(st.booleans()):
            names.append(draw(st.sampled_from([*KEYS, "zz"])))
        return {name: value(declared.get(name, extra), left - 1, 0) for name in names}

    def near(s: dict, kind: str) -> int | float:
        bounds = [s[k] for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if k in s] or [0]
        found = draw(st.sampled_from(bounds)) + draw(st.sampled_from([0, 0, 1, -1, 0.5, -0.25, 10]))
        return int(found) if kind == "integer" and draw(st.integers(0, 3)) else round(found, 4)

    def text(s: dict) -> str:
        low = int(s.get("minLength", 0))
        high = max(low, int(s.get("maxLength", low + 3)))
        if "pattern" in s and draw(st.integers(0, 3)):
            return draw(st.sampled_from(["", "a", "ab", "aa", "b", "é", "éa", "ab😀", "😀", "bb", "aab", "1"]))
        return draw(st.text(alphabet='abé😀"\\1', min_size=low, max_size=high))

    return value(schema, 3, 0)


def _pointed(root: Any, ref: str) -> Any:
    """What a `#/...` pointer points at, or None."""
    for step in ref.split("/")[1:]:
        root = root.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(root, dict) else None
    return root


@st.composite
def json_spellings(draw: st.DrawFn, value: Any) -> str:
    """A JSON text of a value: white space, escapes and zeros after the point as they come."""
    space = st.sampled_from(["", "", "", " ", "\n", "\t \r"])

    def string(text: str) -> str:
        out = ""
        for c in text:
            plain = json.dumps(c, ensure_ascii=False)[1:-1]
            escaped = json.dumps(c, ensure_ascii=True)[1:-1]
            if len(escaped) < 6:
                escaped = f"\\u{ord(c):04X}"
            out += draw(st.sampled_from([plain, plain, plain, escaped, escaped.upper().replace("\\U", "\\u")]))
        return f'"{out}"'

    def spell(v: Any) -> str:
        if isinstance(v, str):
            return string(v)
        if isinstance(v, list):
            body = ",".join(draw(space) + spell(item) + draw(space) for item in v)
            return "[" + (body or draw(space)) + "]"
        if isinstance(v, dict):
            pairs = [[string(key), ":", spell(item), ""] for key, item in v.items()]
            return "{" + (",".join("".join(draw(space) + p for p in pair) for pair in pairs) or draw(space)) + "}"
        text = json.dumps(v)
        if v is None or isinstance(v, bool) or "e" in text:
            return text
        return text + draw(st.sampled_from(["", "", "", "0", "00"] if "." in text else ["", "", "", ".0", ".00"]))

    return spell(value)


# Vocabularies.

_CROSSING = (
    *(
        b'":',
        b'",',
        b'"}',
        b'": "',
        b' "',
        b'{"a',
        b'{"',
        b'","',
        b'"],',
        b"}}",
        b"]}",
        b"],[",
        b'"a":',
        b'"ab',
        b'b":',
    ),
    *(
        b": ",
        b", ",
        b"[[",
        b"[]",
        b"{}",
        b"\n ",
        b"  ",
        b'":{"',
        b'":[',
        b"1,",
        b"0.",
        b".0",
        b"-1",
        b"e1",
        b"00",
        b"12",
    ),
    *(
        b"true",
        b"false}",
        b"nul",
        b'\\"',
        b"\\u00",
        b"\\ud83d",
        b"\\ude00",
        b"\\",
        b'\\\\"',
        b"aa",
        b"ab",
        b"abab",
        b"ba",
    ),
    *("é".encode(), 'é"'.encode(), "😀".encode(), b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", b"a\xc3", b'\xa9"'),
    *(b"\xff", b"\xed\xa0\x80"),
)
_BYTES = b'"\\{}[]:,.-+ \n\t0129aAbeulstrfnd\xc3\xa9\xf0\x9f\x98\x80'


@st.composite
def token_sets(draw: st.DrawFn, every_byte: bool = False) -> list[bytes]:
    """A small vocabulary: single bytes (all of them on demand), tokens across boundaries, partial UTF-8, duplicates
    and tokens of no bytes, in any order."""
    bytes_ = [bytes([b]) for b in (range(256) if every_byte else _BYTES)]
    crossing = draw(st.lists(st.sampled_from(_CROSSING), max_size=24))
    random = draw(st.lists(st.text(alphabet='ab"{}:,1é😀 ', min_size=1, max_size=5).map(str.encode), max_size=6))
    cut = [t[: draw(st.integers(1, len(t)))] for t in random]
    pool = crossing + random + cut
    again = draw(st.lists(st.sampled_from(pool), max_size=3)) if pool else []
    nothing = [b""] * draw(st.integers(0, 2))
    chosen = bytes_ if every_byte else draw(st.lists(st.sampled_from(bytes_), max_size=len(bytes_)))
    return list(draw(st.permutations([*chosen, *pool, *again, *nothing])))
