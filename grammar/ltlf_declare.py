"""The templates of Declare, by name, as formulas of LTLf.

Operands may be any formulas; states and alternatives of states are what they are meant for. `existence(a, n)` is a node
of its own (ltlf_formula.Existence), because counting by nesting would cost a formula of depth n.

Source: Pesic, Schonenberg, van der Aalst 2007, "DECLARE: full support for loosely-structured processes"; the formulas
for finite traces are those of De Giacomo, De Masellis, Montali 2014. Tested by: direct checks of each rule on every
short trace (tests/test_ltlf_declare.py).
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from ..automata.errors import GrammarError
from .ltlf_formula import (
    LAST,
    Eventually,
    Existence,
    Formula,
    Globally,
    Implies,
    Next,
    Not,
    Template,
    Until,
    conjunction,
    disjunction,
    exists,
)

__all__ = ["COUNTED", "TEMPLATES", "definition", "template"]


def _response(a: Formula, b: Formula) -> Formula:
    return Globally(Implies(a, Eventually(b, None)), None)


def _precedence(a: Formula, b: Formula) -> Formula:
    return Until(Not(b), a, False)


def _alternate_response(a: Formula, b: Formula) -> Formula:
    return Globally(Implies(a, Next(Until(Not(a), b, True), 1, True)), None)


def _alternate_precedence(a: Formula, b: Formula) -> Formula:
    return conjunction(_precedence(a, b), Globally(Implies(b, Next(_precedence(a, b), 1, False)), None))


def _chain_response(a: Formula, b: Formula) -> Formula:
    return Globally(Implies(a, Next(b, 1, True)), None)


def _chain_precedence(a: Formula, b: Formula) -> Formula:
    return conjunction(Not(b), Globally(Implies(Next(b, 1, True), a), None))


def _responded_existence(a: Formula, b: Formula) -> Formula:
    return Implies(Eventually(a, None), Eventually(b, None))


def _choice(a: Formula, b: Formula) -> Formula:
    return disjunction(Eventually(a, None), Eventually(b, None))


def _not_coexistence(a: Formula, b: Formula) -> Formula:
    return Not(conjunction(Eventually(a, None), Eventually(b, None)))


def _not_succession(a: Formula, b: Formula) -> Formula:
    return Globally(Implies(a, Not(Eventually(b, None))), None)


def _not_chain_succession(a: Formula, b: Formula) -> Formula:
    return Globally(Implies(a, Next(Not(b), 1, False)), None)


# Of one state and a number.
COUNTED: dict[str, Callable[[Formula, int], Formula]] = {
    "existence": exists,
    "absence": lambda a, n: Not(exists(a, n)),
    "exactly": lambda a, n: conjunction(exists(a, n), Not(exists(a, n + 1))),
}

# Of one state or two.
TEMPLATES: dict[str, Callable[..., Formula]] = {
    "init": lambda a: a,
    "end": lambda a: Eventually(conjunction(a, LAST), None),
    "choice": _choice,
    "exclusive_choice": lambda a, b: conjunction(_choice(a, b), _not_coexistence(a, b)),
    "responded_existence": _responded_existence,
    "coexistence": lambda a, b: conjunction(_responded_existence(a, b), _responded_existence(b, a)),
    "response": _response,
    "precedence": _precedence,
    "succession": lambda a, b: conjunction(_response(a, b), _precedence(a, b)),
    "alternate_response": _alternate_response,
    "alternate_precedence": _alternate_precedence,
    "alternate_succession": lambda a, b: conjunction(_alternate_response(a, b), _alternate_precedence(a, b)),
    "chain_response": _chain_response,
    "chain_precedence": _chain_precedence,
    "chain_succession": lambda a, b: conjunction(_chain_response(a, b), _chain_precedence(a, b)),
    "not_responded_existence": _not_coexistence,
    "not_coexistence": _not_coexistence,
    "not_response": _not_succession,
    "not_precedence": _not_succession,
    "not_succession": _not_succession,
    "not_chain_response": _not_chain_succession,
    "not_chain_precedence": _not_chain_succession,
    "not_chain_succession": _not_chain_succession,
}

_OTHER_SPELLINGS = {"co_existence": "coexistence", "not_co_existence": "not_coexistence"}
_OF_ONE = frozenset(["init", "end"])


def template(name: str, operands: tuple[Formula, ...], number: int | None) -> Formula:
    """The formula for `name(operands…, number)`; the number counts, and is 1 where it is left out.

    Raises GrammarError for a name that is none (with what is near) and for operands that do not fit.
    """
    plain = name.lower().replace("-", "_")
    plain = _OTHER_SPELLINGS.get(plain, plain)
    if plain not in COUNTED and plain not in TEMPLATES:
        near = get_close_matches(plain, [*COUNTED, *TEMPLATES], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise GrammarError(f"there is no template {name!r}{hint}")
    wanted = 1 if plain in COUNTED or plain in _OF_ONE else 2
    if len(operands) != wanted or (number is not None and plain not in COUNTED):
        form = f"{plain}({'a' if wanted == 1 else 'a, b'}{', n' if plain in COUNTED else ''})"
        raise GrammarError(f"this is not how a template is used: write {form}")
    if plain not in COUNTED:
        return Template(plain, operands, None)
    number = 1 if number is None else number
    if plain == "existence" and number:
        return Existence(operands[0], number)
    return Template(plain, operands, number)


def definition(found: Template) -> Formula:
    """What a template means."""
    if found.number is not None:
        return COUNTED[found.name](found.operands[0], found.number)
    return TEMPLATES[found.name](*found.operands)
