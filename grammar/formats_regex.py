r"""The format of regular expressions: patterns of ECMA-262 with the flag `u`, as JSON Schema has them.

What of the syntax is not regular is bounded. Groups nest three deep, and lookaround, which no quantifier may follow,
stands outside of them and holds them one deep (a stack of both kinds would double the states with each level). Numbers
that must be in order are compared where that takes few states: `{n,m}` where n has one digit, is below 20, or m has
more digits or a greater first one; ranges of classes where they are of digits, or of letters and begin at the first one
or end at the last one.
One group may have a name, since names may not come twice. Each context in which groups are open is a copy of 170
states.

Source: ECMA-262, 22.2.1 (Patterns) and 22.2.1.1 (early errors).
"""

from __future__ import annotations

from ..automata.regular import (
    Intersection,
    Language,
    Regular,
    Repeat,
    alternation,
    compile_regular,
    concatenation,
    literal,
)
from .regex_syntax import fullmatch_language

__all__ = ["REGEX_NOTE", "regex"]

MAX_NESTING = 3
REGEX_NOTE = (
    f"groups nest at most {MAX_NESTING} deep, and one deep in lookaround, which is in no group; one group may have a "
    r"name: no group is in it or after it; no \k, and \1 only after a named group; of {n,m} and of ranges in "
    r"classes only those whose order is plain; of \p{…} only the short names of general categories"
)

_CATEGORIES = "C[cfnos]?|L[Clmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?"
_CODE = r"x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{0*(?:10|[0-9A-Fa-f])?[0-9A-Fa-f]{1,4}\}"
_ESCAPED = rf"[dDsSwWfnrtv0^$\\.*+?()\[\]{{}}|/]|c[A-Za-z]|[pP]\{{(?:{_CATEGORIES})\}}|{_CODE}"
_PLAIN = rf"[^\^$\\.*+?()\[\]{{}}|]|\.|\\(?:{_ESCAPED})"
# Texts in which no digit follows \0 and \1: they would be other escapes with it, which are none.
_NO_DIGIT_AFTER_ESCAPE = r"(?:[^\\]|\\[^01]|(?:\\[01])+(?:[^0-9\\]|\\[^01]))*(?:\\[01])*"
_RANGE = (
    "a-[a-z]|[a-z]-z|A-[A-Z]|[A-Z]-Z| -~|"
    + "|".join(f"{digit}-[{digit}-9]" for digit in range(10))
)  # fmt: skip
_CLASS = rf"\[\^?-?(?:{_RANGE}|[^\\\]\-^]|\\(?:[b\-]|{_ESCAPED})|\^)*-?\]"
_ASSERTION = r"\^|\$|\\[bB]"
_NAME = "[A-Za-z_$][A-Za-z0-9_$]*"
_UNNAMED = r"\((?:\?:)?"
_IN_ORDER = "|".join(
    [f"{n},(?:[{n}-9]|[1-9][0-9]+)" for n in range(10)]
    + [f"1{n},(?:1[{n}-9]|[2-9][0-9]|[1-9][0-9]{{2,}})" for n in range(10)]
    + [f"{tens}[0-9],(?:[{tens + 1}-9][0-9]|[1-9][0-9]{{2,}})" for tens in range(2, 9)]
    + ["9[0-9],[1-9][0-9]{2,}"]
)
_QUANTIFIER = rf"(?:[*+?]|\{{(?:[0-9]+,?|{_IN_ORDER})\}})\??"


def _part(pattern: str) -> Regular:
    """A part that comes many times. PERF: a minimal automaton makes for half as large subsets in what contains it."""
    return Language(compile_regular(fullmatch_language(pattern, "ecma")))


def _terms(*groups: Regular, back_references: bool = False) -> Regular:
    """A disjunction whose atoms are characters, classes and these groups."""
    atom = _part(f"{_PLAIN}|{_CLASS}" + (r"|\\1" if back_references else ""))
    quantified = concatenation(alternation(atom, *groups), _part(f"(?:{_QUANTIFIER})?"))
    return alternation(quantified, _part(rf"{_ASSERTION}|\|"))


def _content(*groups: Regular) -> Regular:
    return Language(compile_regular(Repeat(_terms(*groups), 0, None)))


def _group(opening: str, content: Regular) -> Regular:
    return concatenation(_part(opening), content, literal(")"))


def regex() -> Regular:
    """Pattern, as RegExp(…, "u") takes it."""
    content = [_content()]
    for _ in range(MAX_NESTING - 1):
        content.append(_content(_group(_UNNAMED, content[-1])))
    unnamed, look = _group(_UNNAMED, content[-1]), _group(r"\(\?<?[=!]", content[1])
    named = concatenation(_group(rf"\(\?<{_NAME}>", content[0]), _part(f"(?:{_QUANTIFIER})?"))
    after = Repeat(_terms(back_references=True), 0, None)
    pattern = concatenation(
        Repeat(alternation(_terms(unnamed), look), 0, None), Repeat(concatenation(named, after), 0, 1)
    )
    return Intersection((pattern, _part(_NO_DIGIT_AFTER_ESCAPE)))
