"""The temperature of a configuration: what a sampler may ask before each token, and nobody else pays for.

A part of a grammar with a temperature leaves a `Warmth` below its frame. So the innermost temperature of a frame is
that of the first such row on the stack below it; and the frames that count are those which could read the next byte:
the tops, what they call, and what they return to where they may end. Any of them may be the one that the next token
goes on with; where their temperatures differ, the highest is taken, so that no part is sampled more coldly than it
asks.

Cost: a walk over those frames in Python, 10 to 50 us; a machine keeps the answer for each configuration.
"""

from __future__ import annotations

from typing import TypeAlias

from .growing_tables import GrowingTables
from .machine import Machine
from .step_kernels import UNKNOWN, known_step
from .table_kernels import (
    CALLS,
    CHOSEN,
    COUNTED,
    EDGES,
    ENDS,
    LEAF,
    NODES,
    R_BODY,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_EDGE,
    R_EDGES,
    R_FLAGS,
    R_MAX,
    R_MIN,
    R_NEXT,
    R_SPACE,
    ROW_WIDTH,
    ROWS,
    SETS,
    SPARSE,
)

__all__ = ["heat_factor", "temperature_of"]

Below: TypeAlias = "int | tuple[int, Below]"  # a stack reference, or a row to return to and what is below it

# Bounds of a factor: float32 scores stay finite, and those that are -inf do not become NaN.
_LEAST_FACTOR, _MOST_FACTOR = 1e-30, 1e30


def temperature_of(machine: Machine, ref: int) -> float | None:
    """The temperature of a configuration, as `Matcher.temperature` says. Raises LimitError as steps do."""
    machine.next_bytes(ref)  # expands all that comes before a byte
    warm = machine.warm_rows
    if not warm:
        return None
    with machine.store.lock:
        look = _Look(machine, warm)
        found = look.temperatures(ref)
    return max(found, default=None)


def heat_factor(general: float, own: float) -> float:
    """What scores are multiplied by where a part's own temperature holds, and the sampler divides by the general one.

    Both are above 0. Never 0 or infinite, however far apart they are.
    """
    return min(max(general / own, _LEAST_FACTOR), _MOST_FACTOR)


class _Look:
    """One walk over the frames that could read the next byte."""

    def __init__(self, machine: Machine, warm: dict[int, float]) -> None:
        self.tables: GrowingTables = machine.tables
        self.address = machine.address
        self.accepts = machine.store.accepts
        self.warm = warm

    def temperatures(self, ref: int) -> set[float]:
        found: set[float] = set()
        seen: set[tuple[int, int, int, Below]] = set()
        waiting = self.frames(ref)
        while waiting:
            frame = waiting.pop()
            if frame in seen or frame[0] == 0:
                continue
            seen.add(frame)
            row, x, y, below = frame
            if row < LEAF and self.field(row, R_FLAGS) & CHOSEN:
                chosen = known_step(self.address, row, x)
                if chosen != UNKNOWN:
                    waiting.append((chosen, 0, 0, below))
                continue
            if self.reads(row, x, y):
                found |= self.innermost(below)
            if self.ends(row, x, y):
                waiting += [self.after(row, under) for under in self.frames(below)]
            if row < LEAF:
                waiting += [(callee, 0, 0, (then, below)) for callee, then in self.calls(row)]
        return found

    def after(self, ended: int, under: tuple[int, int, int, Below]) -> tuple[int, int, int, Below]:
        """A frame when one that was in row `ended` has ended above it: as after_end has it."""
        row, x, y, below = under
        if ended >= LEAF + SPARSE and row < LEAF and self.field(row, R_FLAGS) & CHOSEN:
            x = ended - LEAF
        return row, x, y, below

    def frames(self, below: Below) -> list[tuple[int, int, int, Below]]:
        """(row, x, y, below) of the frames that a reference names."""
        if isinstance(below, tuple):
            row, under = below
            # The register of a frame that was called for only now: all that is asked of it is asked of its row.
            return [(row, 0, 0, under)]
        nodes = self.tables.view(NODES)
        return [tuple(nodes[4 * node : 4 * node + 4].tolist()) for node in self.members(below)]

    def members(self, ref: int) -> list[int]:
        if ref >= 0:
            return [ref]
        sets = self.tables.view(SETS)
        return sets[~ref + 1 : ~ref + 1 + int(sets[~ref])].tolist()

    def field(self, row: int, field: int) -> int:
        return int(self.tables.view(ROWS)[ROW_WIDTH * row + field])

    def reads(self, row: int, x: int, y: int) -> bool:
        """Whether a frame could read a byte itself, as far as its row tells; most leaves that can only end are never on
        a stack."""
        if row >= LEAF:
            return True
        flags = self.field(row, R_FLAGS)
        if flags & COUNTED:
            return x != 0 or not 0 <= self.field(row, R_MAX) <= y
        if flags & ~(ENDS | 1):
            return True  # names, members, items
        edges = self.tables.view(EDGES)
        first = self.field(row, R_EDGE)
        spans = edges[first : first + 2 * self.field(row, R_EDGES) : 2].tolist()
        if any(span & 0xFF <= span >> 8 for span in spans):
            return True
        return x < self.field(row, R_SPACE) or self.field(row, R_CLOSE) >= 0 or self.field(row, R_NEXT) >= 0

    def ends(self, row: int, x: int, y: int) -> bool:
        if row >= LEAF:
            return self.accepts(row - LEAF)
        flags = self.field(row, R_FLAGS)
        if not flags & COUNTED:
            return bool(flags & ENDS)
        return bool(flags & ENDS) and self.accepts(x or self.field(row, R_BODY)) and y >= self.field(row, R_MIN)

    def calls(self, row: int) -> list[tuple[int, int]]:
        first = self.field(row, R_CALL)
        flat = self.tables.view(CALLS)[first : first + 2 * self.field(row, R_CALLS)].tolist()
        return list(zip(flat[::2], flat[1::2], strict=True))

    def innermost(self, below: Below) -> set[float]:
        """The temperatures of the first rows below that have one; by every path, where there are several."""
        while isinstance(below, tuple):
            row, below = below
            if row in self.warm:
                return {self.warm[row]}
        nodes = self.tables.view(NODES)
        found: set[float] = set()
        seen, waiting = {below}, [below]
        while waiting:
            for node in self.members(waiting.pop()):
                row, parents = int(nodes[4 * node]), int(nodes[4 * node + 3])
                if row in self.warm:
                    found.add(self.warm[row])
                elif row and parents not in seen:
                    seen.add(parents)
                    waiting.append(parents)
        return found
