"""`Regex`: regular languages of texts as values, with the operations that regular expressions lack.

A Regex is what a pattern matches from end to end. Conjunction, complement and difference are exact, over all texts of
Unicode: `Regex(r"[a-z]+") & ~Regex("if|else|while")` are the identifiers that are no keywords. Nothing is compiled
until somebody asks about the language.

INVARIANT: immutable. Equal languages are equal, however they were written.
Cost: an operation 1 us; its automaton, once asked for, what regular.py says. Intersections and complements may need
exponentially many states, so a budget bounds them (LimitError).

Source: Hopcroft, Motwani, Ullman, "Introduction to Automata Theory", ch. 4 (closure properties).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.regular import Regular, compile_regular
from .arguments import expect_counts, expect_text
from .regex_syntax import Dialect, fullmatch_language

if TYPE_CHECKING:
    from .grammar import Grammar

__all__ = ["Regex"]

_REPETITION = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")


class Regex:
    """The texts that a regular expression matches from end to end.

    a & b, a | b, ~a, a - b, a + b : both, either, all texts but a's, a's but b's, one of each in a row.
    """

    __slots__ = ("__weakref__", "_dfa", "_recipe", "_shown", "language")

    language: Regular

    def __init__(self, pattern: str, dialect: Dialect = "python", *, flags: int = 0) -> None:
        """From a pattern.

        dialect : "python" as Python's re reads it, or "ecma" as ECMA-262 (and JSON Schema's `pattern`) does.
        flags : of Python's re, in its dialect: re.IGNORECASE, re.DOTALL, re.ASCII, re.MULTILINE, re.VERBOSE.
        Raises GrammarError (malformed, with the column), UnsupportedError (back-references, other flags), LimitError.
        """
        expect_text(pattern, "a pattern")
        if not isinstance(flags, int):
            raise TypeError(f"flags are those of re, or an int, not {type(flags).__name__}: {flags!r:.80}")
        language = fullmatch_language(pattern, dialect, int(flags))
        options = "" if dialect == "python" else f", {dialect!r}"
        shown = f"Regex({pattern!r}{options}{f', flags={int(flags)}' if flags else ''})"
        self._set(language, shown, {"pattern": pattern, "dialect": dialect, "flags": int(flags)})

    def _set(self, language: Regular, shown: str, recipe: Mapping[str, Any]) -> None:
        self.language = language
        self._shown = shown
        self._recipe = recipe
        self._dfa: ByteDfa | None = None

    @classmethod
    def _made(cls, operation: str, language: Regular, shown: str, *operands: Regex, **more: Any) -> Regex:
        made = cls.__new__(cls)
        made._set(language, shown, {"operation": operation, "of": operands, **more})
        return made

    # ------------------------------------------------------------------------------------------------ operations

    def intersect(self, other: Regex) -> Regex:
        """The texts of both."""
        language = regular.Intersection((self.language, other.language))
        return self._made("intersect", language, f"({self._shown} & {other._shown})", self, other)

    def union(self, other: Regex) -> Regex:
        """The texts of either."""
        language = regular.alternation(self.language, other.language)
        return self._made("union", language, f"({self._shown} | {other._shown})", self, other)

    def concat(self, other: Regex) -> Regex:
        """The texts that are one of this, then one of the other."""
        language = regular.concatenation(self.language, other.language)
        return self._made("concat", language, f"({self._shown} + {other._shown})", self, other)

    def difference(self, other: Regex) -> Regex:
        """The texts of this that are not of the other."""
        language = regular.Difference(self.language, other.language)
        return self._made("difference", language, f"({self._shown} - {other._shown})", self, other)

    def complement(self) -> Regex:
        """All other texts."""
        return self._made("complement", regular.Complement(self.language), f"~{self._shown}", self)

    def repeat(self, least: int = 0, most: int | None = None) -> Regex:
        """`least` to `most` texts of this in a row (None: any number from `least` on). Raises ValueError."""
        expect_counts(least, most)
        language = regular.Repeat(self.language, least, most)
        return self._made("repeat", language, f"{self._shown}.repeat({least}, {most})", self, counts=(least, most))

    def __and__(self, other: object) -> Regex:
        return self.intersect(other) if isinstance(other, Regex) else NotImplemented

    def __or__(self, other: object) -> Regex:
        return self.union(other) if isinstance(other, Regex) else NotImplemented

    def __add__(self, other: object) -> Regex:
        return self.concat(other) if isinstance(other, Regex) else NotImplemented

    def __sub__(self, other: object) -> Regex:
        return self.difference(other) if isinstance(other, Regex) else NotImplemented

    def __invert__(self) -> Regex:
        return self.complement()

    # ------------------------------------------------------------------------------------------------ the language

    @property
    def dfa(self) -> ByteDfa:
        """The minimal automaton. Raises LimitError where it is too large."""
        if self._dfa is None:
            try:
                self._dfa = compile_regular(self.language)
            except LimitError as error:
                error.place = error.place or f"{self._most_repeated()}the pattern {self._shown:.200}"
                raise
        return self._dfa

    def _most_repeated(self) -> str:
        """Where the largest repetition of a pattern is, which is what most patterns are too large by."""
        found = list(_REPETITION.finditer(self._recipe.get("pattern", "")))
        if not found:
            return ""
        most = max(found, key=lambda one: int(one[2] or one[1]))
        return f"column {most.start() + 1}, {most[0]}, of "

    def matches(self, text: str | bytes) -> bool:
        """Whether a text is in the language, all of it."""
        from ..automata.matcher import encoded

        return self.dfa.accepts(encoded(text))

    @property
    def is_empty(self) -> bool:
        """Whether no text is in the language."""
        return self.dfa.is_empty

    def example(self) -> str | None:
        """A text of the language with as few bytes as any, of several the least; None if there is none."""
        found = self.dfa.shortest()
        return None if found is None else found.decode()

    @property
    def grammar(self) -> Grammar:
        """The grammar of these texts. Raises UnsatisfiableError if there are none."""
        from .grammar import Grammar

        return Grammar.from_regex(self)

    # ------------------------------------------------------------------------------------------------ as a value

    def __eq__(self, other: object) -> bool:
        return self.dfa == other.dfa if isinstance(other, Regex) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.dfa)

    def __repr__(self) -> str:
        return self._shown

    def __reduce__(self) -> tuple[Any, ...]:
        return Regex.of_recipe, (self.recipe,)

    @property
    def recipe(self) -> dict[str, Any]:
        """How it was made, as JSON values; `of_recipe` makes it again."""
        recipe = dict(self._recipe)
        if "of" in recipe:
            recipe["of"] = [operand.recipe for operand in recipe["of"]]
        return recipe

    @classmethod
    def of_recipe(cls, recipe: Mapping[str, Any]) -> Regex:
        """What `recipe` told. Raises KeyError, TypeError for what no recipe is."""
        if "operation" not in recipe:
            return cls(recipe["pattern"], recipe["dialect"], flags=recipe["flags"])
        operands = [cls.of_recipe(operand) for operand in recipe["of"]]
        return _OPERATIONS[recipe["operation"]](*operands, *recipe.get("counts", ()))


_OPERATIONS: dict[str, Callable[..., Regex]] = {
    "intersect": Regex.intersect,
    "union": Regex.union,
    "concat": Regex.concat,
    "difference": Regex.difference,
    "complement": Regex.complement,
    "repeat": Regex.repeat,
}
