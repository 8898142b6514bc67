"""Terminals that compete, as a lexer reads them: the longest match wins, and among equally long ones the best.

Idea. All the languages are followed at once (the product of their automata). A terminal *wins* a text if it is the best
one of those that the text belongs to. From the product comes one greedy leaf (automata/greedy_dfa.py) for each
terminal: it accepts what the terminal wins, goes on by a byte as long as the terminal may win later, and is BLOCKED by
a byte with which only others can: `if` and a letter are the beginning of a name.

What that means for texts. A leaf looks one byte ahead. It never ends before a byte with which some terminal goes on,
even if the text then fails to become one: with `1` and `1.5` as terminals, `1` does not end before a point, so `1.x`
is not read as `1`, `.`, `x`, as a lexer that goes back to the last match would. Texts are left out so, none are added:
each is cut in the same way by such a lexer.

Which languages compete is the caller's to say: all terminals of a grammar, or those that a parser can use where it is
(a contextual lexer), together with those that are ignored there. So is it to see to it that no text gets stuck
(`GreedyDfa.always_followable`): the masks do not.

Cost: 160 ms for the 52 terminals of a language like Python (446 states of the product), 1 ms for six small ones.
Imports numba when called.

Source: Aho, Lam, Sethi, Ullman, "Compilers", section 3.8 (lexers from automata); Lark's documentation, "Terminals:
priority", for the order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridle.automata.budget import DEFAULT_LIMITS, Budget, RegularLimits
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.greedy_dfa import BLOCKED, GreedyDfa, made
from bridle.automata.regular import Regular, compile_regular

__all__ = ["greedy_leaves"]


def greedy_leaves(
    languages: Sequence[Regular | ByteDfa],
    order: Sequence[int] | None = None,
    *,
    limits: RegularLimits = DEFAULT_LIMITS,
) -> list[GreedyDfa | None]:
    """The greedy leaf of each of some competing languages; None for one that never wins a text.

    order : the indexes of `languages`, the best first, each once: of texts that belong to several, the best one has
        them. None: as they are given.
    Raises LimitError where an automaton, or the product, meets a budget of `limits` (`dfa_states`, of all together).
    """
    order = range(len(languages)) if order is None else order
    if sorted(order) != [*range(len(languages))]:
        raise ValueError(f"the order {list(order)} does not name each of {len(languages)} languages once")
    dfas = [item if isinstance(item, ByteDfa) else compile_regular(item, limits) for item in languages]
    if not dfas:
        return []
    table, winner, class_of = _product([dfas[i] for i in order], Budget(limits))
    leaves: list[GreedyDfa | None] = [None] * len(dfas)
    for place, i in enumerate(order):
        leaves[i] = _leaf(table, winner == place, class_of)
    return leaves


def _leaf(table: np.ndarray, wins: np.ndarray, class_of: np.ndarray) -> GreedyDfa | None:
    """What a product is to one of its languages, which wins in the states `wins`."""
    may_win = wins
    while not ((more := may_win | may_win[table].any(axis=1)) == may_win).all():
        may_win = more
    if not may_win[1]:
        return None
    entries = np.where(may_win[table], table, np.where(table > 0, BLOCKED, 0))
    return made(entries, wins, class_of)


def _product(dfas: list[ByteDfa], budget: Budget) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All the automata at once: (table, winner, class_of).

    table : int64[n_states, n_classes], 0 where none of them goes on; state 1 the start. winner : int64[n_states], the
    place of the first that accepts, -1 for none. class_of : uint8[256].
    """
    spread = np.stack([dfa.byte_class for dfa in dfas])
    _, first, group = np.unique(spread, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first)
    class_of = np.argsort(order)[group.reshape(-1)].astype(np.uint8)
    columns = spread[:, first[order]]  # of each automaton, the class of each joint class
    moves = [np.ascontiguousarray(dfa.table[:, columns[i]].T) for i, dfa in enumerate(dfas)]
    start = np.ones(len(dfas), np.int32)
    number = {bytes(start.nbytes): 0, start.tobytes(): 1}
    states = [start * 0, start]
    rows = [[0] * columns.shape[1]]
    at = 1
    while at < len(states):
        budget.spend("dfa_states", 1)
        state = states[at]
        # int32[n_classes, n]: the state of each automaton after each class
        after = np.stack([move[:, q] for move, q in zip(moves, state.tolist(), strict=True)], axis=1)
        row = []
        for target in np.ascontiguousarray(after):
            key = target.tobytes()
            known = number.get(key)
            if known is None:
                known = number[key] = len(states)
                states.append(target)
            row.append(known)
        rows.append(row)
        at += 1
    # The start of an empty language is a state that nothing leads to, so every other state has a text.
    accepting = np.stack([dfa.accepting[[state[i] for state in states]] for i, dfa in enumerate(dfas)], axis=1)
    winner = np.where(accepting.any(axis=1), accepting.argmax(axis=1), -1)
    return np.array(rows, np.int64), winner, class_of
