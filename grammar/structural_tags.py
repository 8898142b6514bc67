"""Structural tags: free text in which certain marks begin something that follows a schema or a grammar.

The description is JSON as XGrammar has it: nested objects with a `type`, or a Grammar in place of one. Each becomes a
node of the rules' IR, so that marks and free text are automata and schemas are called (composition.py).

    const_string value                       regex pattern            grammar grammar (EBNF)
    json_schema json_schema [style any_order max_whitespace_cnt]      qwen_xml_parameter json_schema
    any_text [excludes max_chars]            token token (a text: as a const_string)
    sequence elements    or elements    optional | star | plus content    repeat min max content
    tag begin content end                    end: a text, or a list of texts of which any ends it
    triggered_tags triggers tags [at_least_one stop_after_first excludes]
    tags_with_separator tags separator [at_least_one stop_after_first]
    dispatch rules [loop excludes]           rules: [mark, content] pairs; tags without an end

Free text contains no trigger, no excluded text, and no end of the tag that it is in; what begins first counts
(free_text.py). So a text is read in one way where XGrammar would follow several, and begins a tag wherever a trigger
stands. With `at_least_one`, the first tag comes at once, without free text before it, as in XGrammar.

Not supported, by name: what counts or names tokens (`max_tokens`, token ids, `exclude_token`, `any_tokens`, …), which
is no property of a text; other XML styles. Unknown members are refused. Marks are plain text here (`_Reader.mark`).

Source: XGrammar 0.2.8, structural_tag.py and its documentation; tests/cases/structural_tags holds its verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, LimitError, UnsupportedError, nested_too_deeply
from ..automata.special_tokens import SpecialToken
from .arguments import expect_source
from .composition import node_of, of_node, text_node
from .free_text import free_text
from .grammar import Grammar
from .rule_states import Apart
from .rules import Choice, Embedded, Node, Repeat, Sequence, Terminal
from .schema_scan import Gap
from .tag_members import Members, shown

__all__ = ["from_structural_tag"]

Stops: TypeAlias = "frozenset[str]"
_NONE: Stops = frozenset()
_EMPTY = Terminal(regular.EPSILON)
# Beginnings that tags have in common are read once; so many times within each other.
_PREFIXES = 12


def from_structural_tag(tag: dict[str, Any] | str | bytes, **options: Any) -> Grammar:
    """As Grammar.from_structural_tag says."""
    description = _parsed(tag)
    reader = _Reader(options)
    try:
        node = reader.node(*_format_of(description), _NONE, "")
        recipe = _recipe(description, options)
    except RecursionError:
        raise nested_too_deeply("a structural tag") from None
    return of_node(
        node,
        source="structural tag",
        notes=tuple(dict.fromkeys(reader.notes)),
        unenforced=tuple(reader.unenforced),
        special_tokens=tuple(dict.fromkeys(reader.special_tokens)),
        recipe=lambda: recipe,
    )


def _recipe(description: Any, options: dict[str, Any]) -> dict[str, Any] | None:
    """What makes the grammar again; None if that is not all JSON."""
    try:
        recipe = {"kind": "structural_tag", "tag": json.dumps(description, allow_nan=False), "options": options}
        json.dumps(options)
    except (TypeError, ValueError):
        return None
    return recipe


def _parsed(tag: Any) -> Any:
    if not isinstance(tag, (str, bytes)):
        return tag
    try:
        return json.loads(tag if isinstance(tag, bytes) else expect_source(tag, "a structural tag"))
    except RecursionError:
        raise nested_too_deeply("a structural tag") from None
    except json.JSONDecodeError as error:
        raise GrammarError(f"the structural tag is not JSON: {error.msg}", text=error.doc, offset=error.pos) from None
    except UnicodeDecodeError as error:
        raise GrammarError(f"the structural tag is not UTF-8: byte {error.start}") from None


def _format_of(tag: Any) -> tuple[Any, str]:
    """The format that a tag holds, and the pointer to it; a format may stand by itself."""
    if not isinstance(tag, Mapping) or tag.get("type") != "structural_tag":
        return tag, ""
    if "structures" in tag:
        return _legacy(tag), ""
    Members(tag, "", "structural_tag", {"type", "format"})
    if "format" not in tag:
        raise GrammarError('a structural_tag needs "format"', pointer="")
    return tag["format"], "/format"


def _legacy(tag: Mapping[str, Any]) -> dict[str, Any]:
    """The older form: structures, each with its begin, schema and end, and triggers."""
    members = Members(tag, "", "structural_tag", {"type", "structures", "triggers"})
    tags = []
    for i, structure in enumerate(members.listed("structures")):
        inner = Members(structure, f"/structures/{i}", "structure", {"begin", "schema", "end"})
        content = {"type": "json_schema", "json_schema": _parsed(inner.needed("schema"))}
        tags.append({"begin": inner.text("begin"), "content": content, "end": inner.text("end")})
    return {"type": "triggered_tags", "triggers": members.needed("triggers"), "tags": tags}


# ------------------------------------------------------------------------------------------------ formats


class _Reader:
    """Makes nodes of formats. notes, unenforced, special_tokens : of the schemas and grammars in them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.notes: list[str] = []
        self.unenforced: list[Gap] = []
        self.special_tokens: list[SpecialToken] = []

    def node(self, found: Any, pointer: str, stops: Stops, then: str) -> Node:
        """The node of a format. stops : ends of the tag that it is in. then : what certainly follows, "" if unknown."""
        if isinstance(found, Grammar):
            return self.grammar(lambda: found, pointer)
        kind = found.get("type") if isinstance(found, Mapping) else None
        if isinstance(kind, str) and kind in _UNSUPPORTED:
            raise UnsupportedError(f"{kind!r}", _UNSUPPORTED[kind], pointer=pointer, keyword="type")
        if not isinstance(kind, str) or kind not in _FORMATS:
            if not isinstance(found, Mapping):
                raise GrammarError(f"a format is an object with a type, not {shown(found)}", pointer=pointer)
            near = get_close_matches(str(kind), _FORMATS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_FORMATS)}"
            raise GrammarError(
                f"unknown format {kind!r}; {hint}" if "type" in found else f'a format needs "type"; {hint}',
                pointer=pointer + ("/type" if "type" in found else ""),
            )
        make, members = _FORMATS[kind]
        try:
            return make(self, Members(found, pointer, kind, {"type", *members}), stops, then)
        except LimitError as error:
            error.place = error.place or pointer or "the root"
            raise
        except GrammarError as error:
            error.pointer = pointer if error.pointer is None else error.pointer
            raise

    def mark(self, text: str, pointer: str) -> Node:
        """A text that begins, ends or separates something. Special tokens are spelled as they are shown."""
        try:
            return text_node(text)
        except GrammarError as error:
            error.pointer = pointer
            raise

    def grammar(self, make: Callable[[], Grammar], pointer: str) -> Node:
        """What another front end makes of a member; its faults get the place here."""
        try:
            grammar = make()
        except GrammarError as error:
            error.pointer = pointer + (error.pointer or "")
            raise
        except LimitError as error:
            error.place = f"{pointer}, {error.place}" if error.place else pointer
            raise
        self.notes += grammar.notes
        self.special_tokens += grammar.special_tokens
        self.unenforced += [gap._replace(pointer=pointer + gap.pointer) for gap in grammar.unenforced]
        return node_of(grammar)

    # -------------------------------------------------------------------------------------------- leaves

    def const_string(self, at: Members, stops: Stops, then: str) -> Node:
        return self.mark(at.text("value"), at.at("value"))

    def token(self, at: Members, stops: Stops, then: str) -> Node:
        if not isinstance(at.needed("token"), str):
            raise UnsupportedError("a token by its id", "give the text that it stands for", pointer=at.at("token"))
        return self.mark(at.text("token"), at.at("token"))

    def regex(self, at: Members, stops: Stops, then: str) -> Node:
        pattern = at.text("pattern")
        return self.grammar(lambda: Grammar.from_regex(pattern, dialect="ecma"), at.at("pattern"))

    def ebnf(self, at: Members, stops: Stops, then: str) -> Node:
        text = at.text("grammar")
        return self.grammar(lambda: Grammar.from_ebnf(text), at.at("grammar"))

    def json_schema(self, at: Members, stops: Stops, then: str) -> Node:
        style = at.found.get("style", "json")
        if style not in ("json", "qwen_xml"):
            reason = "json and qwen_xml are the styles that there are"
            raise UnsupportedError(f"the style {style!r}", reason, pointer=at.at("style"))
        if at.texts("excludes"):
            raise UnsupportedError(
                '"excludes" in a schema', "say it with a pattern in the schema", pointer=at.at("excludes")
            )
        options = dict(self.options)
        if at.flag("any_order"):
            options["property_order"] = "any"
        if (most := at.count("max_whitespace_cnt")) is not None:
            options["max_whitespace"] = most
        schema = at.needed("json_schema")
        if style == "json":
            return self.grammar(lambda: Grammar.from_json_schema(schema, **options), at.at("json_schema"))
        return self.xml(schema, at.at("json_schema"), options)

    def qwen_xml(self, at: Members, stops: Stops, then: str) -> Node:
        return self.xml(at.needed("json_schema"), at.at("json_schema"), dict(self.options))

    def xml(self, schema: Any, pointer: str, options: dict[str, Any]) -> Node:
        from .xml_parameters import xml_parameters

        return self.grammar(lambda: xml_parameters(schema, options), pointer)

    def any_text(self, at: Members, stops: Stops, then: str) -> Node:
        if at.found.get("max_tokens") is not None:
            raise UnsupportedError(
                '"max_tokens"', "how many tokens a text has is no property of the text", pointer=at.at("max_tokens")
            )
        marks, most = stops.union(at.texts("excludes")), at.count("max_chars")
        text = self.free(marks, then)
        if most is None:
            return text
        short = regular.Repeat(regular.ANY_CHAR, 0, most)
        return Terminal(regular.Intersection((text.language, short)) if marks else short)

    def free(self, marks: Stops, then: str) -> Terminal:
        if not marks:
            return Terminal(regular.ANY_TEXT)
        return Terminal(regular.Language(free_text(marks, then)))

    # -------------------------------------------------------------------------------------------- compositions

    def sequence(self, at: Members, stops: Stops, then: str) -> Node:
        elements = at.listed("elements")
        last = len(elements) - 1
        return Sequence(
            tuple(
                self.node(element, f"{at.pointer}/elements/{i}", stops, then if i == last else "")
                for i, element in enumerate(elements)
            )
        )

    def either(self, at: Members, stops: Stops, then: str) -> Node:
        elements = enumerate(at.listed("elements"))
        return Choice(tuple(self.node(element, f"{at.pointer}/elements/{i}", stops, then) for i, element in elements))

    def optional(self, at: Members, stops: Stops, then: str) -> Node:
        return Repeat(self.node(at.needed("content"), at.at("content"), stops, then), 0, 1)

    def star(self, at: Members, stops: Stops, then: str) -> Node:
        return Repeat(self.node(at.needed("content"), at.at("content"), stops, ""), 0, None)

    def plus(self, at: Members, stops: Stops, then: str) -> Node:
        return Repeat(self.node(at.needed("content"), at.at("content"), stops, ""), 1, None)

    def repeat(self, at: Members, stops: Stops, then: str) -> Node:
        at.needed("min"), at.needed("max")
        least, most = at.count("min"), None if at.found["max"] == -1 else at.count("max")
        assert least is not None
        if most is not None and most < least:
            raise at.wrong("max", f"-1, or at least {least}, which min is")
        return Repeat(self.node(at.needed("content"), at.at("content"), stops, ""), least, most)

    # -------------------------------------------------------------------------------------------- tags

    def tag(self, at: Members, stops: Stops, then: str) -> Node:
        return Sequence((self.mark(_text_of(at, "begin"), at.at("begin")), self.rest_of_tag(at)))

    def tags(self, at: Members, *, begin_with: list[str] | None = None) -> dict[str, list[tuple[str, Node]]]:
        """By trigger, the begin of each tag and what follows it; by "" where there are no triggers."""
        found: dict[str, list[tuple[str, Node]]] = {}
        for i, tag in enumerate(at.listed("tags")):
            inner = Members(tag, f"{at.pointer}/tags/{i}", "tag", {"type", *_FORMATS["tag"][1]})
            if inner.found.get("type", "tag") != "tag":
                raise inner.wrong("type", '"tag"')
            begin = _text_of(inner, "begin")
            triggers = [""] if begin_with is None else [t for t in begin_with if begin.startswith(t)]
            if len(triggers) != 1:
                told = "none of the triggers" if not triggers else f"several triggers, {', '.join(map(repr, triggers))}"
                raise GrammarError(
                    f"a tag begins with exactly one trigger; {begin!r} begins with {told}", pointer=inner.at("begin")
                )
            self.mark(begin, inner.at("begin"))
            found.setdefault(triggers[0], []).append((begin, self.rest_of_tag(inner)))
        return found

    def rest_of_tag(self, at: Members) -> Node:
        """What follows the begin of a tag: its content and its end."""
        if isinstance(at.needed("end"), list):
            at.listed("end")
            ends = list(dict.fromkeys(at.found["end"]))
            if not all(isinstance(end, str) for end in ends):
                raise at.wrong("end", "a text or a list of texts")
        else:
            ends = [_text_of(at, "end")]
        stops = frozenset(filter(None, ends))
        # Of several ends it is not known which comes; then only what stands before them is free of all.
        then = ends[0] if len(ends) == 1 else ""
        content = self.node(at.needed("content"), at.at("content"), stops, then)
        return Sequence((content, Choice(tuple(self.mark(end, at.at("end")) for end in ends))))

    def triggered_tags(self, at: Members, stops: Stops, then: str) -> Node:
        triggers = at.texts("triggers", needed=True)
        return self.with_free_text(
            self.tags(at, begin_with=triggers),
            stops.union(triggers, at.texts("excludes")),
            then,
            at_once=at.flag("at_least_one"),
            once=at.flag("stop_after_first"),
        )

    def dispatch(self, at: Members, stops: Stops, then: str) -> Node:
        contents: dict[str, list[tuple[str, Node]]] = {}
        for i, rule in enumerate(at.listed("rules")):
            pointer = f"{at.pointer}/rules/{i}"
            if not isinstance(rule, (list, tuple)) or len(rule) != 2 or not isinstance(rule[0], str) or not rule[0]:
                raise GrammarError(
                    f"a rule of dispatch is a text that is not empty and a format, not {shown(rule)}", pointer=pointer
                )
            self.mark(rule[0], f"{pointer}/0")
            content = self.node(rule[1], f"{pointer}/1", stops, "")
            contents.setdefault(rule[0], []).append((rule[0], content))
        marks = stops.union(contents, at.texts("excludes"))
        return self.with_free_text(contents, marks, then, at_once=False, once=not at.flag("loop", default=True))

    def with_free_text(
        self, tags: Mapping[str, list[tuple[str, Node]]], marks: Stops, then: str, *, at_once: bool, once: bool
    ) -> Node:
        """Free text and tags in turn.

        tags : by the mark that begins them, each tag's begin and what follows it. marks : what free text does not
        contain. at_once : the first one is a tag. once : there is one at the most, and no free text behind it.
        """
        first = _by_beginning([tag for group in tags.values() for tag in group])
        if at_once and once:
            return first
        last = self.free(marks, then)
        tagged = self.tagged(tags, marks)
        if once:
            return Choice((last, tagged))
        more = (Repeat(tagged, 0, None), last)
        return Sequence((first, *more) if at_once else more)

    def tagged(self, tags: Mapping[str, list[tuple[str, Node]]], marks: Stops) -> Node:
        """Free text and one tag.

        PERF: free text and the beginning of the mark behind it are one automaton, apart from the one of free text that
        no tag follows. Neither can be left but at a mark or at the end of the text; an automaton of free text alone
        could be left anywhere, and each token of the vocabulary would have to be tried on what comes after it (40 ms
        for a mask, instead of 0.1).
        """
        groups: dict[tuple[ByteDfa, str], list[str]] = {}
        for mark in tags:
            groups.setdefault((free_text(marks, mark), mark[0]), []).append(mark)
        found: list[Node] = []
        for (text, _), together in groups.items():
            shared = _shared_beginning(together)
            until = regular.compile_regular(regular.Concat((regular.Language(text), regular.literal(shared))))
            rests = [(begin[len(shared) :], rest) for mark in together for begin, rest in tags[mark]]
            found.append(Sequence((Embedded(Apart(until), False), _by_beginning(rests))))
        return _choice(found)

    def tags_with_separator(self, at: Members, stops: Stops, then: str) -> Node:
        tag = _by_beginning(self.tags(at)[""])
        least = 1 if at.flag("at_least_one") else 0
        separator = self.mark(at.text("separator"), at.at("separator"))
        if at.flag("stop_after_first"):
            return Repeat(tag, least, 1)
        several = Sequence((tag, Repeat(Sequence((separator, tag)), 0, None)))
        return several if least else Repeat(several, 0, 1)


def _text_of(at: Members, name: str) -> str:
    """A text, or that of a token format."""
    value = at.needed(name)
    if isinstance(value, Mapping):
        token = Members(value, at.at(name), "token", {"type", "token"})
        if not isinstance(token.needed("token"), str):
            raise UnsupportedError("a token by its id", "give the text that it stands for", pointer=token.at("token"))
        return token.text("token")
    return at.text(name)


def _choice(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Choice(tuple(nodes))


def _by_beginning(tags: list[tuple[str, Node]], depth: int = 0) -> Node:
    """A choice between texts and what follows them, with what several texts begin with before the choice.

    PERF: a hundred tools whose calls begin alike are one place, not a hundred beside each other.
    """
    if depth == _PREFIXES or len(tags) == 1:
        return _choice([Sequence((text_node(begin), rest)) for begin, rest in tags])
    groups: dict[str, list[tuple[str, Node]]] = {}
    for begin, rest in tags:
        groups.setdefault(begin[:1], []).append((begin, rest))
    found: list[Node] = []
    for group in groups.values():
        shared = _shared_beginning([begin for begin, _ in group])
        if len(group) == 1 or not shared:
            found += [Sequence((text_node(begin), rest)) for begin, rest in group]
            continue
        inner = _by_beginning([(begin[len(shared) :], rest) for begin, rest in group], depth + 1)
        found.append(Sequence((text_node(shared), inner)))
    return _choice(found)


def _shared_beginning(texts: list[str]) -> str:
    """What all texts begin with: what the first and the last of them in order do."""
    first, last = min(texts), max(texts)
    n = next((i for i, (one, other) in enumerate(zip(first, last)) if one != other), min(len(first), len(last)))
    return first[:n]


_OF_TOKENS = "it is about tokens, not about the text that they stand for"
_UNSUPPORTED = {
    "exclude_token": _OF_TOKENS,
    "any_tokens": _OF_TOKENS,
    "token_triggered_tags": f"{_OF_TOKENS}; triggered_tags takes the texts of special tokens",
    "token_dispatch": f"{_OF_TOKENS}; dispatch takes the texts of special tokens",
}
_FORMATS: dict[str, tuple[Callable[[_Reader, Members, Stops, str], Node], tuple[str, ...]]] = {
    "const_string": (_Reader.const_string, ("value",)),
    "token": (_Reader.token, ("token",)),
    "regex": (_Reader.regex, ("pattern",)),
    "grammar": (_Reader.ebnf, ("grammar",)),
    "json_schema": (
        _Reader.json_schema,
        ("json_schema", "style", "any_order", "max_whitespace_cnt", "excludes"),
    ),
    "qwen_xml_parameter": (_Reader.qwen_xml, ("json_schema",)),
    "any_text": (_Reader.any_text, ("excludes", "max_chars", "max_tokens")),
    "sequence": (_Reader.sequence, ("elements",)),
    "or": (_Reader.either, ("elements",)),
    "optional": (_Reader.optional, ("content",)),
    "star": (_Reader.star, ("content",)),
    "plus": (_Reader.plus, ("content",)),
    "repeat": (_Reader.repeat, ("min", "max", "content")),
    "tag": (_Reader.tag, ("begin", "content", "end")),
    "triggered_tags": (
        _Reader.triggered_tags,
        ("triggers", "tags", "at_least_one", "stop_after_first", "excludes"),
    ),
    "tags_with_separator": (
        _Reader.tags_with_separator,
        ("tags", "separator", "at_least_one", "stop_after_first"),
    ),
    "dispatch": (_Reader.dispatch, ("rules", "loop", "excludes")),
}
