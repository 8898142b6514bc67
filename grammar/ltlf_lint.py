"""What a user should know of a specification that can be met: formulas that add nothing, states that never come.

Each question is one of satisfiability, so the answers are exact: a formula adds nothing if no trace satisfies the
others without it, a state never comes if no trace that satisfies them all has it. The conflict that says so also names
why. Where a budget does not suffice, the note says that.

Cost: an automaton for each formula and each state, a few ms.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..automata.errors import LimitError
from .ltlf_automaton import ConflictingFormulasError, TraceAutomaton
from .ltlf_formula import Atom, Eventually, Formula, Not

__all__ = ["notes"]

_ASKED = "\0"  # the name of the formula that a question adds: none of the user's


def notes(automaton: TraceAutomaton) -> list[str]:
    """Sentences about formulas that hold of every trace or follow from others, then about states that can't come."""
    return [*_about_formulas(automaton), *_about_states(automaton)]


def _about_formulas(automaton: TraceAutomaton) -> Iterator[str]:
    for name, formula in automaton.formulas.items():
        others = {other: kept for other, kept in automaton.formulas.items() if other != name}
        try:
            because = _excluding(automaton, others, Not(formula))
        except LimitError as error:
            yield f"whether {name} adds anything is not known: {error}"
            continue
        if because is not None:
            reason = f"follows from {_listed(because)}" if because else "holds of every trace"
            yield f"{name} is never broken: it {reason}"


def _about_states(automaton: TraceAutomaton) -> Iterator[str]:
    for letter in automaton.alphabet:
        try:
            because = _excluding(automaton, automaton.formulas, Eventually(Atom(letter), None))
        except LimitError as error:
            yield f"whether the state {letter!r} can come is not known: {error}"
            continue
        if because is not None:
            yield f"the state {letter!r} never comes: {_listed(because)} exclude{'s' if len(because) == 1 else ''} it"


def _excluding(automaton: TraceAutomaton, formulas: dict[str, Formula], asked: Formula) -> list[str] | None:
    """Which parts of a specification exclude that a formula holds, beside them; None if none do."""
    parts = {**formulas, _ASKED: asked}
    try:
        TraceAutomaton(automaton.alphabet, parts, automaton.expression, automaton.final, limits=automaton.limits)
    except ConflictingFormulasError as error:
        return [name for name in error.names if name != _ASKED]
    return None


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
