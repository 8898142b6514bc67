"""Random formulas of LTLf with fixed seeds, and every short trace, for the tests of the logic."""

from __future__ import annotations

import random
from itertools import product

from bridle.grammar.ltlf_formula import (
    FALSE,
    LAST,
    TRUE,
    Atom,
    Count,
    Eventually,
    Existence,
    Formula,
    Globally,
    Iff,
    Implies,
    Next,
    Not,
    Release,
    Until,
    Xor,
    conjunction,
    disjunction,
)  # fmt: skip  # isort: skip

LETTERS = ("a", "b", "c")


def traces(longest: int, letters: tuple[str, ...] = LETTERS) -> list[tuple[str, ...]]:
    """Every trace of up to so many steps, shorter ones first."""
    return [trace for length in range(1, longest + 1) for trace in product(letters, repeat=length)]


def random_formula(source: random.Random, depth: int) -> Formula:
    """A formula over a, b, c with every operator, at most so deep."""
    if depth == 0:
        return source.choice([*map(Atom, LETTERS), *map(Atom, LETTERS), TRUE, FALSE, LAST])

    def part() -> Formula:
        return random_formula(source, source.randrange(depth))

    strong, bound = source.random() < 0.5, source.choice([None, None, 0, 1, 2, 3])
    makers = [
        lambda: Not(part()), lambda: conjunction(part(), part()), lambda: disjunction(part(), part()),
        lambda: Implies(part(), part()), lambda: Iff(part(), part()), lambda: Xor(part(), part()),
        lambda: Next(part(), source.randint(1, 3), strong), lambda: Until(part(), part(), strong),
        lambda: Release(part(), part(), strong), lambda: Eventually(part(), bound), lambda: Globally(part(), bound),
        lambda: Existence(part(), source.randint(1, 3)),
        lambda: Count(part(), source.choice(["<", "<=", "=", ">=", ">"]), source.randint(0, 3)),
    ]  # fmt: skip
    return source.choice(makers)()
