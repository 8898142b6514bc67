"""What a search for a value of a recursive schema has to remember."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Conjunction", "Question"]

# Numbers of the nodes that hold together (SchemaValues).
Conjunction: TypeAlias = "tuple[int, ...]"


class Question:
    """One question whether a conjunction has a value, and what is taken to have none until something else is found.

    active : conjunctions that are being looked at. without : others in which nothing was found so far. Both are taken
    to have no value; if that is all that a "no" rests on in the end, it is true of them all (the least fixpoint).
    assumed : of which a "no" was used. surprises : how many of those turned out to have a value. looks : so far.
    """

    __slots__ = ("active", "assumed", "looks", "surprises", "without")

    def __init__(self) -> None:
        self.active: set[Conjunction] = set()
        self.without: set[Conjunction] = set()
        self.assumed: set[Conjunction] = set()
        self.surprises = 0
        self.looks = 0
