"""Structural tags: free text in which certain marks begin something that follows a schema or a grammar.

The description is JSON as XGrammar has it: nested objects with a `type`, or a Grammar in place of one. Each becomes a
node of the rules' IR, so that marks and free text are automata and schemas are called (composition.py).

    const_string value                       regex pattern            grammar grammar (EBNF)
    json_schema json_schema [style any_order max_whitespace_cnt]      qwen_xml_parameter json_schema
    any_text [excludes max_chars]            token token (a name or an id)    any_tokens [exclude_tokens]
    sequence elements    or elements    optional | star | plus content    repeat min max content
    tag begin content end                    each a text or a token; several ends, of which any ends it, in a list
    triggered_tags triggers tags [at_least_one stop_after_first excludes]
    tags_with_separator tags separator [at_least_one stop_after_first]
    dispatch rules [loop excludes]           rules: [mark, content] pairs; tags without an end
    token_triggered_tags trigger_tokens tags [at_least_one stop_after_first exclude_tokens]
    token_dispatch rules [loop exclude_tokens]

Marks are texts, in which names of special tokens are these tokens where the vocabulary has them as such, and text where
it has not; or {"type": "token"}, which is that token and nothing else (tag_marks.py). In free text no special token
comes; where tokens are excluded from it, that is said twice, unless the vocabulary has one as ordinary text.

Free text contains no trigger, no excluded text, and no end of the tag that it is in; what begins first counts
(free_text.py). So a text is read in one way where XGrammar would follow several, and begins a tag wherever a trigger
stands. With `at_least_one`, the first tag comes at once, without free text before it, as in XGrammar.

Not supported, by name: what counts tokens or is about one token of any text (`max_tokens`, `exclude_token`), which is
no property of a text; other XML styles. Unknown members are refused.

Source: XGrammar 0.2.8, structural_tag.py and its documentation; tests/cases/structural_tags holds its verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ..automata import regular
from ..automata.errors import GrammarError, LimitError, UnsupportedError, nested_too_deeply
from ..automata.special_tokens import SpecialToken
from ..automata.vocabulary import Vocabulary
from .arguments import expect_source
from .composition import node_of, of_node
from .grammar import Grammar
from .rules import Choice, Node, Repeat, Sequence, Terminal
from .schema_scan import Gap
from .tag_marks import Mark, Marks
from .tag_members import Members, shown
from .tagged_text import Stops, Tags, by_beginning, free, mark_node, texts_of, with_free_text

__all__ = ["from_structural_tag"]

_NONE: Stops = frozenset()


def from_structural_tag(
    tag: dict[str, Any] | str | bytes, special_tokens: Iterable[str] | None = None, **options: Any
) -> Grammar:
    """As Grammar.from_structural_tag says."""
    from .json_schema import SchemaOptions

    for name in options.keys() - {*SchemaOptions._fields}:  # there may be no schema that would say so
        raise TypeError(f"{name!r} is no option of from_json_schema: there are {', '.join(SchemaOptions._fields)}")
    return _grammar(_parsed(tag), _Reader(options, Marks(special_tokens)))


def _grammar(description: Any, reader: _Reader) -> Grammar:
    """The grammar of a description, for no vocabulary or for that of the reader."""
    marks = reader.marks
    try:
        node = reader.node(*_format_of(description), _NONE, "")
        recipe = _recipe(description, marks, reader.options)
        kept = _copied(description) if recipe is None else None
    except RecursionError:
        raise nested_too_deeply("a structural tag") from None

    def bound(vocabulary: Vocabulary) -> Grammar | None:
        missing = marks.missing_in(vocabulary)
        if not (marks.exact or missing or reader.has_late_parts or marks.shown_in(vocabulary)):
            return None
        again = _Reader(reader.options, marks.of(vocabulary), reader.made)
        if missing:
            again.notes.append(f"the vocabulary has no special tokens {', '.join(missing)}: they are text here")
        return _grammar(json.loads(recipe["tag"]) if recipe is not None else kept, again)

    return of_node(
        node,
        source="structural tag",
        notes=tuple(dict.fromkeys(reader.notes)),
        unenforced=tuple(reader.unenforced),
        special_tokens=tuple(dict.fromkeys((*reader.special_tokens, *marks.named))),
        recipe=lambda: recipe,
        bind=bound,
    )


def _copied(description: Any) -> Any:
    """What a description is now, as its author may change it."""
    if isinstance(description, Mapping):
        return {name: _copied(value) for name, value in description.items()}
    return [*map(_copied, description)] if isinstance(description, list) else description


def _recipe(description: Any, marks: Marks, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """What makes the grammar again; None if that is not all JSON."""
    try:
        tag = json.dumps(description, allow_nan=False)
        json.dumps(options)
    except (TypeError, ValueError):
        return None
    names = None if marks.names is None else list(marks.names)
    return {"kind": "structural_tag", "tag": tag, "special_tokens": names, "options": options}


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
    if not isinstance(tag, Mapping):
        return tag, ""
    if "structures" in tag and tag.get("type", "structural_tag") == "structural_tag":
        return _legacy(tag), ""
    if tag.get("type") != "structural_tag":
        return tag, ""
    Members(tag, "", "structural_tag", {"type", "format"})
    if "format" not in tag:
        raise GrammarError('a structural_tag needs "format"', pointer="")
    return tag["format"], "/format"


def _legacy(tag: Mapping[str, Any]) -> dict[str, Any]:
    """The older form: structures, each with its begin, schema and end, and triggers; the type may be left out."""
    members = Members(tag, "", "structural_tag", {"type", "structures", "triggers"})
    tags = []
    for i, structure in enumerate(members.listed("structures")):
        inner = Members(structure, f"/structures/{i}", "structure", {"begin", "schema", "end"})
        content = {"type": "json_schema", "json_schema": _parsed(inner.needed("schema"))}
        tags.append({"begin": inner.text("begin"), "content": content, "end": inner.text("end")})
    return {"type": "triggered_tags", "triggers": members.needed("triggers"), "tags": tags}


# ------------------------------------------------------------------------------------------------ formats


class _Reader:
    """Makes nodes of formats. notes, unenforced, special_tokens : of the schemas and grammars in them.

    made : what other front ends made of members, by pointer; the same for any vocabulary.
    """

    def __init__(self, options: Mapping[str, Any], marks: Marks, made: dict[str, Grammar] | None = None) -> None:
        self.options = options
        self.marks = marks
        self.made: dict[str, Grammar] = {} if made is None else made
        self.has_late_parts = False
        self.notes: list[str] = []
        self.unenforced: list[Gap] = []
        self.special_tokens: list[SpecialToken] = []

    def node(self, found: Any, pointer: str, stops: Stops, then: str) -> Node:
        """The node of a format. stops : ends of the tag that it is in. then : what certainly follows, "" if unknown."""
        if isinstance(found, Grammar):
            return self.part(found, pointer)
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

    def mark(self, text: str, pointer: str) -> Mark:
        """A text that begins, ends or separates something."""
        try:
            return self.marks.text(text)
        except GrammarError as error:
            error.pointer = pointer
            raise

    def token(self, key: Any, pointer: str) -> Mark:
        """A token that is named as such."""
        if isinstance(key, bool) or not isinstance(key, (str, int)) or key == "":
            raise GrammarError(
                f"a token is named by a text that is not empty, or by its id, not {shown(key)}", pointer=pointer
            )
        try:
            return self.marks.token(key)
        except GrammarError as error:
            error.pointer = pointer
            raise

    def mark_at(self, at: Members, name: str) -> Mark:
        """A member that is a mark: a text, or a token format."""
        return self.mark_of(at.needed(name), at, name)

    def mark_of(self, value: Any, at: Members, name: str) -> Mark:
        if isinstance(value, Mapping):
            token = Members(value, at.at(name), "token", {"type", "token"})
            if token.needed("type") != "token":
                raise token.wrong("type", '"token"')
            return self.token(token.needed("token"), token.at("token"))
        return self.mark(at.text(name) if not isinstance(value, str) else value, at.at(name))

    def tokens_at(self, at: Members, name: str, *, needed: bool = False) -> list[Mark]:
        """A list of tokens."""
        keys = at.listed(name, empty=not needed) if needed or at.found.get(name) is not None else []
        return [self.token(key, f"{at.at(name)}/{i}") for i, key in enumerate(keys)]

    def grammar(self, make: Callable[[], Grammar], pointer: str) -> Node:
        """What another front end makes of a member; its faults get the place here."""
        if pointer not in self.made:
            try:
                self.made[pointer] = make()
            except GrammarError as error:
                error.pointer = pointer + (error.pointer or "")
                raise
            except LimitError as error:
                error.place = f"{pointer}, {error.place}" if error.place else pointer
                raise
        return self.part(self.made[pointer], pointer)

    def part(self, grammar: Grammar, pointer: str) -> Node:
        """A grammar as a part of this one."""
        self.has_late_parts = self.has_late_parts or grammar.is_late
        if self.marks.vocabulary is not None:
            grammar = grammar.bound_to(self.marks.vocabulary)
        self.notes += grammar.notes
        self.special_tokens += grammar.special_tokens
        self.unenforced += [gap._replace(pointer=pointer + gap.pointer) for gap in grammar.unenforced]
        return node_of(grammar)

    # -------------------------------------------------------------------------------------------- leaves

    def const_string(self, at: Members, stops: Stops, then: str) -> Node:
        return mark_node(self.mark(at.text("value"), at.at("value")).units)

    def one_token(self, at: Members, stops: Stops, then: str) -> Node:
        return mark_node(self.token(at.needed("token"), at.at("token")).units)

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
        _refuse_count(at)
        marks, most = stops.union(at.texts("excludes")), at.count("max_chars")
        text = free(marks, then)
        if most is None:
            return text
        short = regular.Repeat(regular.ANY_CHAR, 0, most)
        return Terminal(regular.Intersection((text.language, short)) if marks else short)

    def any_tokens(self, at: Members, stops: Stops, then: str) -> Node:
        _refuse_count(at)
        return free(stops.union(texts_of(self.tokens_at(at, "exclude_tokens"))), then)

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
        return Sequence((mark_node(self.mark_at(at, "begin").units), self.rest_of_tag(at)))

    def tags(self, at: Members, triggers_of: Callable[[Mark], list[Mark]]) -> Tags:
        """By trigger, the begin of each tag and what follows it. triggers_of : those that a tag begins with."""
        found: Tags = {}
        for inner in self.each_tag(at):
            begin = self.mark_at(inner, "begin")
            its = triggers_of(begin)
            if len(its) != 1:
                told = f"several triggers, {', '.join(map(repr, map(str, its)))}" if its else "none of the triggers"
                raise GrammarError(
                    f"a tag begins with exactly one trigger; {str(begin)!r} begins with {told}",
                    pointer=inner.at("begin"),
                )
            found.setdefault(its[0], []).append((begin.units, self.rest_of_tag(inner)))
        return found

    def each_tag(self, at: Members) -> Iterator[Members]:
        for i, tag in enumerate(at.listed("tags")):
            inner = Members(tag, f"{at.pointer}/tags/{i}", "tag", {"type", *_FORMATS["tag"][1]})
            if inner.found.get("type", "tag") != "tag":
                raise inner.wrong("type", '"tag"')
            yield inner

    def rest_of_tag(self, at: Members) -> Node:
        """What follows the begin of a tag: its content and its end."""
        given = at.needed("end")
        if isinstance(given, list):
            at.listed("end")
            if not all(isinstance(end, (str, Mapping)) for end in given):
                raise at.wrong("end", "a text or a list of texts")
        ends = [self.mark_of(end, at, "end") for end in (given if isinstance(given, list) else [given])]
        ends = list(dict.fromkeys(ends))
        # Of several ends it is not known which comes; then only what stands before them is free of all.
        then = ends[0].text if len(ends) == 1 else ""
        content = self.node(at.needed("content"), at.at("content"), texts_of(ends), then)
        return Sequence((content, Choice(tuple(mark_node(end.units) for end in ends))))

    def triggered_tags(self, at: Members, stops: Stops, then: str) -> Node:
        triggers = [self.mark(text, at.at("triggers")) for text in at.texts("triggers", needed=True)]
        tags = self.tags(at, lambda begin: [trigger for trigger in triggers if begin.text.startswith(trigger.text)])
        return self.triggered(at, tags, stops.union(texts_of(triggers), at.texts("excludes")), then)

    def token_triggered_tags(self, at: Members, stops: Stops, then: str) -> Node:
        triggers = self.tokens_at(at, "trigger_tokens", needed=True)
        tags = self.tags(at, lambda begin: self.marks.token_triggers(begin, triggers))
        return self.triggered(at, tags, stops | texts_of([*triggers, *self.tokens_at(at, "exclude_tokens")]), then)

    def triggered(self, at: Members, tags: Tags, marks: Stops, then: str) -> Node:
        at_once, once = at.flag("at_least_one"), at.flag("stop_after_first")
        return with_free_text(tags, marks, then, at_once=at_once, once=once)

    def dispatch(self, at: Members, stops: Stops, then: str) -> Node:
        contents: Tags = {}
        for pointer, text, content in _rules(at):
            if not isinstance(text, str) or not text:
                raise GrammarError(f"a rule begins with a text that is not empty, not {shown(text)}", pointer=pointer)
            begin = self.mark(text, f"{pointer}/0")
            contents.setdefault(begin, []).append((begin.units, self.node(content, f"{pointer}/1", stops, "")))
        return self.dispatched(at, contents, stops.union(at.texts("excludes")), then)

    def token_dispatch(self, at: Members, stops: Stops, then: str) -> Node:
        contents: Tags = {}
        for pointer, key, content in _rules(at):
            begin = self.token(key, f"{pointer}/0")
            contents.setdefault(begin, []).append((begin.units, self.node(content, f"{pointer}/1", stops, "")))
        return self.dispatched(at, contents, stops | texts_of(self.tokens_at(at, "exclude_tokens")), then)

    def dispatched(self, at: Members, contents: Tags, marks: Stops, then: str) -> Node:
        once = not at.flag("loop", default=True)
        return with_free_text(contents, marks | texts_of(contents), then, at_once=False, once=once)

    def tags_with_separator(self, at: Members, stops: Stops, then: str) -> Node:
        tag = by_beginning([(self.mark_at(tag, "begin").units, self.rest_of_tag(tag)) for tag in self.each_tag(at)])
        least = 1 if at.flag("at_least_one") else 0
        separator = mark_node(self.mark_at(at, "separator").units)
        if at.flag("stop_after_first"):
            return Repeat(tag, least, 1)
        several = Sequence((tag, Repeat(Sequence((separator, tag)), 0, None)))
        return several if least else Repeat(several, 0, 1)


def _rules(at: Members) -> Iterator[tuple[str, Any, Any]]:
    """The pointer to each rule of a dispatch, its mark and its format."""
    for i, rule in enumerate(at.listed("rules")):
        pointer = f"{at.pointer}/rules/{i}"
        if not isinstance(rule, (list, tuple)) or len(rule) != 2:
            raise GrammarError(f"a rule is a text that is not empty and a format, not {shown(rule)}", pointer=pointer)
        yield pointer, *rule


def _refuse_count(at: Members) -> None:
    if at.found.get("max_tokens") is not None:
        reason = "how many tokens a text has is no property of the text"
        raise UnsupportedError('"max_tokens"', reason, pointer=at.at("max_tokens"))


_UNSUPPORTED = {
    "exclude_token": "how much text a token is depends on the vocabulary; any_tokens is any number of them",
}
_FORMATS: dict[str, tuple[Callable[[_Reader, Members, Stops, str], Node], tuple[str, ...]]] = {
    "const_string": (_Reader.const_string, ("value",)),
    "token": (_Reader.one_token, ("token",)),
    "any_tokens": (_Reader.any_tokens, ("exclude_tokens", "max_tokens")),
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
    "token_triggered_tags": (
        _Reader.token_triggered_tags,
        ("trigger_tokens", "tags", "at_least_one", "stop_after_first", "exclude_tokens"),
    ),
    "token_dispatch": (_Reader.token_dispatch, ("rules", "loop", "exclude_tokens")),
}
