r"""The format of regular expressions: patterns of ECMA-262 with the flag `u`, as JSON Schema has them.

What of the syntax is not regular is bounded. Groups nest three deep, and lookaround, which no quantifier may follow,
stands outside of them (a stack of both kinds would double the states with each level). Numbers that must be in order
are compared where that takes few states: `{n,m}` where n has one digit, is below 20, or m has more digits or a greater
first one; ranges of classes where they are of digits, or of letters and begin at the first one or end at the last one.
One group may have a name, since names may not come twice. Each level of nesting is a copy of 70 states.

Source: ECMA-262, 22.2.1 (Patterns) and 22.2.1.1 (early errors).
"""

from __future__ import annotations

from ..automata.regular import Regular, Repeat, alternation, concatenation, literal
from .regex_syntax import fullmatch_language

__all__ = ["REGEX_NOTE", "regex"]

MAX_NESTING = 3
REGEX_NOTE = (
    f"groups nest at most {MAX_NESTING} deep and hold no lookaround; one group may have a name, and no group comes "
    r"after it; no \k, and \1 only after a named group; no \0; of {n,m} and of ranges in classes only those whose "
    r"order is plain; of \p{…} only the short names of general categories"
)

_CATEGORIES = "C[cfnos]?|L[Clmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?"
_CODE = r"x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{0*(?:10|[0-9A-Fa-f])?[0-9A-Fa-f]{1,4}\}"
_ESCAPED = rf"[dDsSwWfnrtv^$\\.*+?()\[\]{{}}|/]|c[A-Za-z]|[pP]\{{(?:{_CATEGORIES})\}}|{_CODE}"
_PLAIN = rf"[^\^$\\.*+?()\[\]{{}}|]|\.|\\(?:{_ESCAPED})"
_RANGE = (
    "a-[a-z]|[a-z]-z|A-[A-Z]|[A-Z]-Z| -~|"
    + "|".join(f"{digit}-[{digit}-9]" for digit in range(10))
)  # fmt: skip
_CLASS = rf"\[\^?-?(?:{_RANGE}|[^\\\]\-^]|\\(?:[b\-]|{_ESCAPED})|\^)*-?\]"
_ASSERTION = r"\^|\$|\\[bB]"
_NAME = "[A-Za-z_$][A-Za-z0-9_$]*"
_IN_ORDER = "|".join(
    [f"{n},(?:[{n}-9]|[1-9][0-9]+)" for n in range(10)]
    + [f"1{n},(?:1[{n}-9]|[2-9][0-9]|[1-9][0-9]{{2,}})" for n in range(10)]
    + [f"{tens}[0-9],(?:[{tens + 1}-9][0-9]|[1-9][0-9]{{2,}})" for tens in range(2, 9)]
    + ["9[0-9],[1-9][0-9]{2,}"]
)
_QUANTIFIER = rf"(?:[*+?]|\{{(?:[0-9]+,?|{_IN_ORDER})\}})\??"


def _terms(*groups: Regular, back_references: bool = False) -> Regular:
    """A disjunction whose atoms are characters, classes and these groups."""
    atom = f"{_PLAIN}|{_CLASS}" + (r"|\\1" if back_references else "")
    quantified = concatenation(
        alternation(fullmatch_language(atom, "ecma"), *groups), Repeat(fullmatch_language(_QUANTIFIER, "ecma"), 0, 1)
    )
    return alternation(quantified, fullmatch_language(rf"{_ASSERTION}|\|", "ecma"))


def _group(opening: str, content: Regular) -> Regular:
    return concatenation(fullmatch_language(opening, "ecma"), content, literal(")"))


def regex() -> Regular:
    """Pattern, as RegExp(…, "u") takes it."""
    content = [Repeat(_terms(), 0, None)]
    for _ in range(MAX_NESTING):
        content.append(Repeat(_terms(_group(r"\((?:\?:)?", content[-1])), 0, None))
    look = _group(r"\(\?<?[=!]", content[MAX_NESTING - 1])
    terms = _terms(_group(r"\((?:\?:)?", content[MAX_NESTING - 1]))
    named = _group(rf"\(\?<{_NAME}>", content[1])
    quantifier = Repeat(fullmatch_language(_QUANTIFIER, "ecma"), 0, 1)
    after = Repeat(_terms(back_references=True), 0, None)
    return concatenation(
        Repeat(alternation(terms, look), 0, None), Repeat(concatenation(named, quantifier, after), 0, 1)
    )
