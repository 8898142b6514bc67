"""Diagrams with chains against truth tables over all assignments that the chains allow."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product

import pytest

from bridle.automata.errors import LimitError
from bridle.grammar.decision_diagrams import FALSE, TRUE, Diagrams, Variable

# A chain of three, one of two, and two variables alone.
VARIABLES: list[Variable] = [(0, -7), (0, 2), (0, 5), (1, 0), (2, 0), (2, 1), (3, 0)]
Assignment = dict[Variable, bool]
def allowed(values: Assignment) -> bool:
    """Whether what is true in a chain is followed by what it implies."""
    return all(
        values[weak] for strong in VARIABLES for weak in VARIABLES
        if values[strong] and strong[0] == weak[0] and strong[1] < weak[1]
    )  # fmt: skip


TABLES = [dict(zip(VARIABLES, bits)) for bits in product([False, True], repeat=len(VARIABLES))]
ALLOWED = [values for values in TABLES if allowed(values)]


def truths(diagrams: Diagrams, node: int) -> tuple[bool, ...]:
    def value(at: int, values: Assignment) -> bool:
        while at > TRUE:
            at = diagrams.high[at] if values[diagrams.variable[at]] else diagrams.low[at]
        return at == TRUE

    return tuple(value(node, values) for values in ALLOWED)


def test_equal_functions_are_one_node_and_other_functions_another() -> None:
    source, diagrams = random.Random(1), Diagrams(100_000)
    known: dict[int, tuple[bool, ...]] = {FALSE: truths(diagrams, FALSE), TRUE: truths(diagrams, TRUE)}
    for variable in VARIABLES:
        node = diagrams.of(variable)
        known[node] = truths(diagrams, node)
        assert known[node] == tuple(values[variable] for values in ALLOWED)
    operations: list[tuple[Callable[[int, int], int], Callable[[bool, bool], bool]]] = [
        (diagrams.both, lambda a, b: a and b),
        (diagrams.either, lambda a, b: a or b),
        (lambda a, b: diagrams.choose(a, diagrams.negation(b), b), lambda a, b: a != b),
    ]
    for _ in range(4000):
        left, right = source.choice(list(known)), source.choice(list(known))
        operation, meaning = source.choice(operations)
        node = operation(left, right)
        table = tuple(meaning(a, b) for a, b in zip(known[left], known[right]))
        assert truths(diagrams, node) == table
        known[node] = table
    assert len(set(known.values())) == len(known)


def test_nodes_are_ordered_and_true_branches_ask_nothing_that_is_implied() -> None:
    diagrams, source = Diagrams(100_000), random.Random(2)
    nodes = [diagrams.of(variable) for variable in VARIABLES]
    for _ in range(300):
        nodes.append(diagrams.choose(*source.sample(nodes, 3)))
    for node in range(2, len(diagrams.variable)):
        own, high, low = diagrams.variable[node], diagrams.high[node], diagrams.low[node]
        assert own < diagrams.variable[low]
        assert own[0] < diagrams.variable[high][0]


def test_a_budget_of_nodes_is_a_limit_error() -> None:
    diagrams = Diagrams(8)
    with pytest.raises(LimitError, match="8 allowed"):
        for rank in range(20):
            diagrams.of((rank, 0))
