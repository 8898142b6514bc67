"""`Grammar`: what a text may be, from any front end, ready to be compiled for a vocabulary or to judge texts."""

from __future__ import annotations

import json
import marshal
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..automata.errors import SavedGrammarError, UnsatisfiableError
from ..automata.fragment import Target
from ..automata.special_tokens import SpecialToken
from .arguments import expect_counts, expect_iterable, expect_source, expect_text
from .schema_scan import Gap

if TYPE_CHECKING:
    from ..automata.vocabulary import Vocabulary
    from .agent_spec import AgentSpec
    from .lark_grammar import ReadLark
    from .regex import Regex
    from .rules import Node

__all__ = ["Grammar", "Later"]


class Later(NamedTuple):
    """A first state that is made when somebody asks for it."""

    make: Callable[[], Target]


class Grammar:
    """A language of texts. Make one with a `from_…` method; compile it with `bridle.compile`.

    root : the first state; of a composition it is made when it is asked for, which may meet a budget (LimitError).
    notes : what a user should know (spellings that are left out, annotations read as such).
    parts : what it is composed of; None where it is made in one piece. depth : how many levels that has.
    unenforced : (JSON pointer, keyword, reason) of every constraint that is not enforced; empty unless reported.
    source : what it was made from, for people. parse : what makes a value of a text, given the grammar itself, too.
    special_tokens : the tokens of no text that it names, which a vocabulary must have.
    bind : makes it for a vocabulary, where something in it depends on which special tokens there are (`bound_to`).
    """

    __slots__ = (
        "__weakref__", "_bind", "_bound", "_depth", "_parse", "_reading", "_recipe", "_root", "_unbound", "_vocabulary",
        "notes", "parts", "source", "special_tokens", "unenforced",
    )  # fmt: skip

    def __init__(
        self,
        root: Target | Later,
        *,
        source: str,
        notes: tuple[str, ...] = (),
        unenforced: tuple[Gap, ...] = (),
        special_tokens: tuple[SpecialToken, ...] = (),
        reading: Callable[[], Target] | None = None,
        recipe: Callable[[], Mapping[str, Any] | None] | None = None,
        parts: Node | None = None,
        depth: int | None = None,
        parse: Callable[[Grammar, str], Any] | None = None,
        bind: Callable[[Vocabulary], Grammar | None] | None = None,
    ) -> None:
        self._root = root
        self.source = source
        self.notes = notes
        self.unenforced = unenforced
        self.special_tokens = special_tokens
        self._reading = reading
        self._recipe = recipe
        self._parse = parse
        self._bind = bind
        self._bound: tuple[Vocabulary, Grammar] | None = None
        self._vocabulary: Vocabulary | None = None
        self._unbound: Grammar | None = None
        self.parts = parts
        self._depth = depth

    @property
    def root(self) -> Target:
        if isinstance(self._root, Later):
            self._root = self._root.make()
        return self._root

    @property
    def depth(self) -> int:
        if self._depth is None:
            from .rules import depth_of

            self._depth = 0 if self.parts is None else depth_of(self.parts)
        return self._depth

    def __repr__(self) -> str:
        return f"Grammar({self.source})"

    @property
    def is_json(self) -> bool:
        """Whether the texts are JSON: places in them are JSON pointers."""
        return self._reading is not None

    @property
    def recipe(self) -> dict[str, Any]:
        """What it was made from, as JSON values: `saved_grammars.grammar_of` makes it again.

        Raises SavedGrammarError where that is not all JSON.
        """
        recipe = None if self._recipe is None else self._recipe()
        if recipe is None:
            raise SavedGrammarError(f"{self!r} cannot be saved: what it was made from is not all JSON, or too deep")
        gaps = [list(gap) for gap in self.unenforced]
        return {**recipe, "source": self.source, "notes": list(self.notes), "unenforced": gaps}

    def again(self) -> Grammar:
        """The same grammar, made once more: nothing that one finds out about itself is shared with the other.

        A grammar whose recipe is not known is itself.
        """
        from .saved_grammars import grammar_of

        try:
            made = grammar_of(self.recipe)
        except SavedGrammarError:
            return self
        return made if self._vocabulary is None else made.bound_to(self._vocabulary)

    @property
    def is_late(self) -> bool:
        """Whether `bound_to` may be another grammar for some vocabulary; so also where it is bound to another one."""
        return self._bind is not None

    def bound_to(self, vocabulary: Vocabulary) -> Grammar:
        """The grammar with the special tokens that a vocabulary has; compiling calls this.

        Itself, unless it has structural tags (or tool calls) whose marks show special tokens of the vocabulary, or name
        tokens that are ordinary text in it (tag_marks.py). Raises GrammarError for a token that the vocabulary lacks.
        """
        if self._bind is None or self._vocabulary == vocabulary:
            return self
        if self._unbound is not None:
            return self._unbound.bound_to(vocabulary)
        if self._bound is not None and self._bound[0] == vocabulary:
            return self._bound[1]  # whose states are known, where this vocabulary has met them
        made = self._bind(vocabulary)
        if made is None:
            return self
        made.source, made.unenforced, made._parse, made._recipe = (
            self.source, self.unenforced, self._parse, self._recipe,
        )  # fmt: skip
        made._vocabulary, made._unbound = vocabulary, self
        self._bound = vocabulary, made
        return made

    def reading_root(self) -> Target:
        """The first state for reading texts that something else has written: more ways of writing, the same values."""
        if self._reading is not None:
            return self._reading()
        if self.parts is None:
            return self.root
        from .composition import read_freely, root_of

        read = read_freely(self.parts)
        return self.root if read is self.parts else root_of(read)

    # ------------------------------------------------------------------------------------------------ composition

    @classmethod
    def concat(cls, *parts: Grammar | Regex | str) -> Grammar:
        """The texts that are one of each part in a row; a str stands for itself. Also `one + other`.

        Parts are any grammars, and may admit the empty text. What a text was read as is told by `captures`.
        """
        from .composition import concatenated

        return concatenated(parts)

    @classmethod
    def union(cls, *parts: Grammar | Regex | str) -> Grammar:
        """The texts of any of the parts, at least one; a str stands for itself. Also `one | other`."""
        from .composition import united

        return united(parts)

    def repeat(self, least: int = 0, most: int | None = None) -> Grammar:
        """`least` to `most` texts of this grammar in a row; most None: any number from `least` on.

        Raises ValueError for counts that contradict each other, LimitError where too much would be unrolled.
        """
        from .composition import repeated

        expect_counts(least, most)
        return repeated(self, least, most)

    def capture(self, name: str) -> Grammar:
        """The same texts; what is read as one has a name in `captures`. Costs nothing while texts are generated."""
        from .composition import captured

        return captured(self, name)

    def with_temperature(self, temperature: float) -> Grammar:
        """The same texts; while one is in progress `Matcher.temperature()` is this, unless a part has another.

        temperature : at least 0; what samplers divide logits by, 0 being greedy.
        """
        from .composition import heated

        return heated(self, temperature)

    def __add__(self, other: Grammar | Regex | str) -> Grammar:
        return Grammar.concat(self, other) if _is_part(other) else NotImplemented

    def __radd__(self, other: str) -> Grammar:
        return Grammar.concat(other, self) if _is_part(other) else NotImplemented

    def __or__(self, other: Grammar | Regex | str) -> Grammar:
        return Grammar.union(self, other) if _is_part(other) else NotImplemented

    def __ror__(self, other: str) -> Grammar:
        return Grammar.union(other, self) if _is_part(other) else NotImplemented

    def captures(self, text: str | bytes) -> dict[str, str | list[str]]:
        """What the named parts of a text are, whole or as far as it goes. A list if a part can come more than once.

        A text that could be read in several ways is read so that each part from left to right takes as much as it can
        and, of alternatives that take the same, the first one is meant. In a text that is no sentence yet, parts that
        could still go on are not told. Names that have no text are not there. Takes 2 to 8 us for a byte.
        Special tokens that the grammar names are shown by name, `<|im_end|>`, or as `<[7]>` where it names the id; a
        name is read as the token or as text, whatever makes a sentence.
        Raises GrammarError for a text that no sentence begins with.
        """
        from .captures import captures

        return captures(self, text)

    def captures_of(self, text: bytes, tokens: Sequence[tuple[int, int, bytes]]) -> dict[str, str | list[str]]:
        """As `captures`, where it is known which special tokens there are. For Matcher.captures.

        tokens : where in the text the name of each begins and ends, and its spelling (automata/special_tokens.py).
        """
        from .captures import captures

        return captures(self, text, tokens)

    def parse(self, text: str | bytes) -> Any:
        """The value of a text: what a Python type or a template makes of it, a JSON value, else the text itself.

        Raises ParseError (a GrammarError), with the place, for what is no sentence.
        """
        from .parsing import parsed

        return parsed(self, text)

    # ------------------------------------------------------------------------------------------------ front ends

    @classmethod
    def from_json_schema(
        cls,
        schema: dict[str, Any] | bool | str | bytes,
        *,
        property_order: Literal["schema", "any"] = "schema",
        whitespace: Literal["json", "compact"] = "json",
        max_whitespace: int = 64,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        formats: Literal["assert", "annotate"] = "assert",
        on_unsupported: Literal["error", "report"] = "error",
        resources: Mapping[str, dict[str, Any] | bool | str | bytes] | None = None,
    ) -> Grammar:
        """The JSON texts of the values that satisfy a schema.

        schema : a dict, a boolean, or JSON text (which keeps decimals exact); drafts 4 to 2020-12 by `$schema`.
        property_order : declared members in the order of the schema, additional ones last; or any order.
        whitespace : "json", wherever JSON allows it, at most max_whitespace characters in a row; "compact": none.
        indent, separators : if given, white space stands where json.dumps with the same arguments has it, and nowhere
            else; at most 16 characters for each level. Separators alone: all on one line.
        formats : "annotate" ignores `format`.
        on_unsupported : "error" raises UnsupportedError for a constraint that is not enforced; "report" lists them in
            `unenforced` and enforces the rest.
        resources : other schemas that `$ref` may name, by absolute URI; read as far as they are named. Nothing is ever
            fetched or opened.
        Raises GrammarError (malformed), UnsupportedError, UnsatisfiableError (no value satisfies the schema),
        LimitError; ValueError for an option that has a value which it cannot have.
        """
        from .json_schema import SchemaOptions, read_schema

        options = SchemaOptions(
            property_order=property_order,
            whitespace=whitespace,
            max_whitespace=max_whitespace,
            indent=indent,
            separators=separators,
            formats=formats,
            on_unsupported=on_unsupported,
            resources={} if resources is None else resources,
        )
        read = read_schema(schema, options)

        def reading() -> Target:
            from .text_states import Padded

            free = options._replace(
                property_order="any", whitespace="json", max_whitespace=1 << 16, indent=None, separators=None
            )
            return Padded(read_schema(schema, free).root)

        return cls(
            read.root,
            source="JSON schema",
            notes=read.notes,
            unenforced=read.gaps,
            reading=reading,
            recipe=_schema_recipe(schema, options),
        )

    @classmethod
    def from_pydantic(cls, model_or_type: Any, *, by_alias: bool = True, **options: Any) -> Grammar:
        """The JSON texts that pydantic accepts for a type; `bridle.parse` makes values of them.

        model_or_type : a BaseModel, a dataclass, a TypedDict, or anything else that a TypeAdapter takes.
        by_alias : members are named by their aliases.
        options : those of from_json_schema, which raises the same errors.
        """
        from .python_types import from_pydantic

        return from_pydantic(model_or_type, by_alias=by_alias, **options)

    @classmethod
    def from_regex(
        cls, pattern: str | Regex, *, dialect: Literal["python", "ecma"] = "python", flags: int = 0
    ) -> Grammar:
        """The texts that a regular expression matches from end to end.

        pattern : a pattern, or a Regex, which has its dialect and flags already.
        dialect : "python" as Python's re reads it, or "ecma" as ECMA-262 (and JSON Schema's `pattern`) does.
        flags : of Python's re, in its dialect: re.IGNORECASE, re.DOTALL, re.ASCII, re.MULTILINE, re.VERBOSE.
        Raises GrammarError (malformed, with the column), UnsupportedError, UnsatisfiableError (it matches nothing).
        """
        from .regex import Regex

        if isinstance(pattern, Regex) and (flags or dialect != "python"):
            raise ValueError("a Regex has its dialect and flags already: give them when it is made")
        regex = pattern if isinstance(pattern, Regex) else Regex(pattern, dialect, flags=flags)
        if regex.is_empty:
            if isinstance(pattern, str):
                raise UnsatisfiableError("no text matches this pattern", text=pattern, offset=0)
            raise UnsatisfiableError(f"no text matches {regex!r}")
        source = f"regex {pattern!r}" if isinstance(pattern, str) else repr(pattern)
        return cls(regex.dfa, source=source, recipe=lambda: {"kind": "regex", "regex": regex.recipe})

    @classmethod
    def from_ebnf(cls, text: str, *, start: str = "root") -> Grammar:
        """The texts of a context-free grammar as llama.cpp (GBNF) and XGrammar write it.

        start : the name of the rule that a text is. `<|name|>` and `<[id]>` are special tokens of the vocabulary.
            `name[capture, temperature=0.5] ::=` gives a rule attributes (grammar/rule_attributes.py).
        Raises GrammarError with line, column and caret.
        """
        from .ebnf import parse_ebnf
        from .rule_states import root_payload
        from .rules import special_tokens_of

        text, start = expect_source(text, "an EBNF grammar"), expect_text(start, "the start rule's name")
        rules = parse_ebnf(text, start)
        parts: Node | None = None
        if rules.attributes:
            from .attributed_rules import read_rules

            root, notes, parts = read_rules(rules)
        else:
            root, notes = root_payload(rules)
        recipe = {"kind": "ebnf", "text": text, "start": start}
        return cls(
            root,
            source=f"EBNF, start rule {start}",
            notes=tuple(notes),
            parts=parts,
            special_tokens=special_tokens_of(rules),
            recipe=lambda: recipe,
        )

    @classmethod
    def from_choices(
        cls,
        choices: Iterable[str | bytes],
        *,
        then: Callable[[tuple[Any, ...]], Iterable[str | bytes] | None] | None = None,
        depth: int | None = None,
        separator: str | bytes = "",
        json: bool = False,
    ) -> Grammar:
        """The texts that are one of the choices; or, with `then`, one choice after another.

        choices : str, or bytes that are taken as they are; up to millions of them (a million: 2 s, 30 MB), in any
            order. Equal ones are one; one may be the beginning of another, or empty.
        then : what may be chosen after a path, the tuple of choices so far: an iterable of more choices; none at all,
            and the path cannot be chosen, so no text ever comes to a dead end; or None, and the path is complete. It
            must say the same each time, and is asked when a text has come to a set: once for each choice of it, and
            down to a complete path. Its errors come out of whatever asked for a mask or a step.
        depth : how many choices every path has. Then `then` promises to have some after each shorter path, and is only
            asked for what was chosen, which a set of a million, or a database, may need; a broken promise is a
            GrammarError when a text has come there.
        separator : what stands between two choices of a path.
        json : each choice is written as a JSON string, as json.dumps does with ensure_ascii=False.
        Raises GrammarError with the index of what is no text, has a surrogate, or cannot be JSON; UnsatisfiableError
        for no choices, or no complete path; LimitError. With `then`, or with choices too many for a table, the compiled
        grammar cannot be saved.
        """
        from . import choices as kinds

        texts = kinds.listed(choices)
        if then is not None:
            if depth is not None and depth < 1:
                raise ValueError(f"a path has at least one choice, not depth={depth}")
            root = kinds.dependent_choices(texts, then, depth=depth, separator=separator, json=json)
            source = f"{len(texts)} choices, and what depends on them"
            return cls(root, source=source, recipe=kinds.refused_function)
        if separator or depth is not None:
            raise ValueError("a separator or a depth needs `then`, which says what follows a choice")
        leaf = kinds.leaf_of(kinds.choice_automaton(texts, json=json))
        return cls(leaf, source=f"{len(texts)} choices", recipe=kinds.choices_recipe(texts, leaf, json=json))

    @classmethod
    def from_substring(
        cls, document: str | Sequence[str], *, by: Literal["char", "word", "line"] = "char", allow_empty: bool = False
    ) -> Grammar:
        """The texts that are a span of a document, as it stands there: quotations.

        document : one text or several, of which no span has parts of two; 1 MB takes 1.5 s and 20 MB.
        by : where spans begin and end: at any character; at the edges of words, where a sign of punctuation is a word
            of its own; at the beginning and the end of lines, without line breaks (grammar/substring.py says exactly).
        allow_empty : whether the empty text is a span.
        Raises GrammarError for a surrogate, with its place, UnsatisfiableError for a document without a span,
        LimitError; ValueError for another `by`. A large one cannot be saved, as in from_choices.
        """
        from .choices import leaf_of
        from .substring import span_automaton, spans_recipe

        if isinstance(document, (bytes, bytearray, memoryview)):
            expect_text(document, "a document")
        given = [document] if isinstance(document, str) else document
        documents = list(expect_iterable(given, "a document is a str, or several are in a list"))
        leaf = leaf_of(span_automaton(documents, by, accepts_empty=allow_empty))
        size = sum(map(len, documents))
        recipe = spans_recipe(documents, leaf, by, allow_empty=allow_empty)
        return cls(leaf, source=f"spans by {by} of {size} characters", recipe=recipe)

    @classmethod
    def from_structural_tag(
        cls, tag: dict[str, Any] | str | bytes, *, special_tokens: Iterable[str] | None = None, **options: Any
    ) -> Grammar:
        """Free text in which marks begin what follows a schema or a grammar; JSON as XGrammar describes it.

        tag : {"type": "structural_tag", "format": …}, or a format by itself, as a dict or as JSON text: triggered_tags,
            tag, sequence, or, any_text, const_string, json_schema, regex, grammar, tags_with_separator and others. In
            a dict, a Grammar may stand for a format.
        special_tokens : which special tokens marks may show (`<tool_call>` in "<tool_call>\\n"). None, any that the
            vocabulary has; (), marks are texts. What a vocabulary lacks is text. {"type": "token", "token": name or id}
            is a token whatever is said here, and an error in a vocabulary without it. Neither ever is in free text.
        options : those of from_json_schema, for the schemas in it.
        Raises GrammarError (malformed), UnsupportedError, UnsatisfiableError, all with the JSON pointer; LimitError.
        """
        from .structural_tags import from_structural_tag

        return from_structural_tag(tag, special_tokens, **options)

    @classmethod
    def from_template(cls, template: str, /, **holes: Any) -> Grammar:
        """Fixed text with holes, `"Name: {name}, age: {age}"`; `parse` makes a dict of what stands in them.

        template : braces that are meant as such are doubled, as for str.format.
        holes : what each holds. A Grammar; a list of texts; a compiled re.Pattern; a JSON schema (a dict); a type: str
            (any text up to the fixed text behind it, also where nothing is said of a hole), int, float, a Literal or an
            Enum (texts as they are), any other as JSON.
        Raises GrammarError for a malformed template, and what makes of the holes raise.
        """
        from .templates import from_template

        return from_template(template, holes)

    @classmethod
    def from_agent(cls, spec: AgentSpec) -> Grammar:
        """What the agent of a specification may write in one turn; `Matcher.feed` begins the next.

        A turn ends where a text from outside is awaited, or with the trace. Captures are the contents of the steps, by
        their states. Raises what the specification raises when it is checked as a whole.
        """
        from .agent_grammar import AgentGrammar

        return AgentGrammar(spec)

    @classmethod
    def free_text(cls, until: str = "") -> Grammar:
        """Any text, or any up to the first place where `until` stands, which is to come next and is not part of it.

        Raises GrammarError for a lone surrogate, LimitError for more than 8,192 bytes of `until`.
        """
        from .free_text import free_text

        recipe = {"kind": "free_text", "until": expect_text(until, "what free text ends before")}
        root = free_text(frozenset(filter(None, (until,))), until)
        return cls(root, source=f"text until {until!r}" if until else "any text", recipe=lambda: recipe)

    @classmethod
    def special_token(cls, token: str | int) -> Grammar:
        """One special token of the vocabulary, by its name or its id: for parts, in which a str is always text.

        Where the vocabulary has it as ordinary text, it is that text. No free text holds one: `free_text("</think>")`
        before `special_token("</think>")` ends at the token or, in a vocabulary of that kind, at the text.
        Raises GrammarError when it is compiled for a vocabulary that lacks it.
        """
        from .structural_tags import from_structural_tag

        grammar = from_structural_tag({"type": "token", "token": token})
        grammar.source = f"special token {token!r}"
        return grammar

    @classmethod
    def from_lark(
        cls, text: str, *, start: str = "start", import_paths: Sequence[str | os.PathLike[str]] = ()
    ) -> Grammar:
        """The texts that Lark's LALR parser accepts with its contextual lexer; docs/lark.md has the details.

        start : the name of the rule that a text is.
        import_paths : folders in which `%import` finds grammars, besides lark's own (`%import common.…`); nothing else
            is read from the disk.
        Raises GrammarError with line, column and caret; UnsupportedError, UnsatisfiableError, LimitError.
        """
        from .lark_grammar import read_lark

        text, start = expect_source(text, "a Lark grammar"), expect_text(start, "the start rule's name")
        if isinstance(import_paths, (str, bytes, os.PathLike)):
            raise TypeError(f"import_paths are several folders: put {import_paths!r:.80} in a list")
        import_paths = list(expect_iterable(import_paths, "import_paths are folders"))
        return cls._of_lark(read_lark(text, start, import_paths), text, start)

    @classmethod
    def _of_lark(cls, read: ReadLark, text: str, start: str) -> Grammar:
        recipe = {"kind": "lark", "text": text, "start": start, "imported": read.imported}
        return cls(
            read.root,
            source=f"Lark, start rule {start}",
            notes=tuple(read.notes),
            special_tokens=read.special_tokens,
            recipe=lambda: recipe,
        )


def _is_part(other: Any) -> bool:
    """Whether something can be a part of a composed grammar."""
    from .regex import Regex

    return isinstance(other, Grammar | Regex | str)


def _schema_recipe(schema: Any, options: Any) -> Callable[[], dict[str, Any] | None]:
    """What tells how to make the grammar of a schema again; None for one that holds other values than JSON has.

    It is made of the schema as it is now, since a dict may change. PERF: a copy in memory takes a tenth of the time
    that its text would, and few grammars are ever saved.
    """
    told = options._asdict()
    resources = told.pop("resources")
    try:
        copy = marshal.dumps((schema, {uri: resources[uri] for uri in resources}))
    except (TypeError, ValueError):
        return lambda: None

    def recipe() -> dict[str, Any] | None:
        schema, resources = marshal.loads(copy)
        try:
            texts = {uri: _json_text(resource) for uri, resource in resources.items()}
            return {"kind": "json_schema", "schema": _json_text(schema), "options": {**told, "resources": texts}}
        except (TypeError, ValueError, RecursionError):
            return None

    return recipe


def _json_text(schema: dict[str, Any] | bool | str | bytes) -> str:
    """A schema as text; text stays as it is, so that its decimals do."""
    if isinstance(schema, bytes):
        return schema.decode(json.detect_encoding(schema), "surrogatepass")
    return schema if isinstance(schema, str) else json.dumps(schema, allow_nan=False)
