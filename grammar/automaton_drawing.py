"""Pictures of specifications: an automaton (ltlf_automaton) as Graphviz's dot text, as SVG, or as a table of text.

States are explored breadth first, as far as `most` of them; equivalent ones are drawn as one. What lies beyond is shown
as open: a drawing never claims to be whole when it is not. A state's number says nothing; 0 is the beginning.

Source: "The DOT Language", graphviz.org/doc/info/lang.html, for what is escaped.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from ..automata.errors import BridleError
from .ltlf_automaton import TraceAutomaton
from .ltlf_formula import Atom
from .trace_components import equivalent_states

__all__ = ["DrawnState", "draw", "drawn_states", "svg", "table"]

_MOST = 100  # states of a drawing that somebody could still read
_SECONDS = 60  # for Graphviz


@dataclass(frozen=True, slots=True)
class DrawnState:
    """A state of a drawing: whether the trace may end there, and its steps, from a letter to a state's number.

    open : its steps were not explored
    """

    may_end: bool
    steps: dict[str, int]
    open: bool

    def targets(self) -> dict[int, list[str]]:
        """The states that are a step away, with the letters that lead there."""
        found: dict[int, list[str]] = {}
        for letter, target in self.steps.items():
            found.setdefault(target, []).append(letter)
        return found


def drawn_states(automaton: TraceAutomaton, most: int = _MOST) -> list[DrawnState]:
    """The states of a drawing, the initial one first.

    most : states that are explored, at least 1. Raises LimitError as the automaton's steps do.
    """
    states, steps = _explored(automaton, most)
    place = {state: at for at, state in enumerate(states)}
    forbidden = len(states)  # where steps lead that are not there
    rows = [[place.get(after.get(letter, -1), forbidden) for letter in automaton.alphabet] for after in steps]
    # What the unexplored ones are equivalent to is unknown: each is marked apart, and so is the forbidden one.
    apart = range(len(steps), forbidden + 1)
    marks = [int(automaton.may_end(state)) for state in states[: len(steps)]] + [at + 2 for at in apart]
    block = equivalent_states(rows + [[at] * len(automaton.alphabet) for at in apart], marks)
    drawn: dict[int, DrawnState] = {}
    for at, state in enumerate(states):
        after = steps[at] if at < len(steps) else {}
        targets = {letter: block[place[target]] for letter, target in after.items()}
        drawn.setdefault(block[at], DrawnState(automaton.may_end(state), targets, at >= len(steps)))
    return list(drawn.values())


def _explored(automaton: TraceAutomaton, most: int) -> tuple[list[int], list[dict[str, int]]]:
    """States breadth first, and the steps of as many of them as may be explored."""
    states, known = [automaton.initial], {automaton.initial}
    steps: list[dict[str, int]] = []
    for state in states:
        if len(steps) == most:
            break
        after = {letter: automaton.step(state, letter) for letter in automaton.alphabet}
        steps.append({letter: target for letter, target in after.items() if target is not None})
        fresh = [target for target in dict.fromkeys(steps[-1].values()) if target not in known]
        known.update(fresh)
        states.extend(fresh)
    return states, steps


def draw(automaton: TraceAutomaton, most: int = _MOST) -> str:
    """The automaton as dot text: a double circle may be the end, a dashed one was not explored further."""
    lines = ["digraph specification {", "  rankdir=LR;", "  begin [shape=point];", "  begin -> 0;"]
    states = drawn_states(automaton, most)
    for number, state in enumerate(states):
        shape = f"shape={'doublecircle' if state.may_end else 'circle'}"
        lines.append(f"  {number} [{shape}{', style=dashed' if state.open else ''}];")
        for target, letters in state.targets().items():
            lines.append(f"  {number} -> {target} [label={_quoted(_listed(letters, automaton.alphabet))}];")
    return "\n".join([*lines, "}", ""])


def svg(dot_text: str) -> str | None:
    """The picture that Graphviz makes of dot text; None where its program `dot` is not installed.

    Raises BridleError with what it says if it fails, or takes more than a minute.
    """
    program = shutil.which("dot")
    if program is None:
        return None
    command, text = [program, "-Tsvg"], dot_text.encode(errors="replace")
    try:
        done = subprocess.run(command, input=text, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BridleError(f"dot drew nothing within {_SECONDS} s; draw fewer states") from None
    if done.returncode:
        raise BridleError(f"dot exits with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def table(automaton: TraceAutomaton, most: int = _MOST) -> str:
    """The automaton as text: a line for each state, with whether the trace may end there, and its steps."""
    rows = [("state", "may end", "steps")]
    for number, state in enumerate(drawn_states(automaton, most)):
        targets = state.targets().items()
        steps = "; ".join(f"{', '.join(map(_shown, letters))} -> {target}" for target, letters in targets)
        rows.append((str(number), "yes" if state.may_end else "no", "(not explored)" if state.open else steps))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "".join(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() + "\n" for row in rows)


def _listed(letters: list[str], alphabet: tuple[str, ...]) -> str:
    """Letters by name, or those that are missing if these are fewer."""
    others = [letter for letter in alphabet if letter not in letters]
    if not others and len(letters) > 1:
        return "any"
    fewer, prefix = (others, "any but ") if len(others) < len(letters) - 1 else (letters, "")
    return prefix + ", ".join(map(_shown, fewer))


def _shown(letter: str) -> str:
    """As in a formula: in quotes where that is needed."""
    return str(Atom(letter))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
