"""Class tables become minimal, canonical automata: the one place where a ByteDfa is made.

Valmari's partition refinement, then breadth-first numbering and coarsest byte classes (minimize_kernels.py); the digest
is BLAKE2b over the class table, which is canonical. The hash must be one that nobody
can force to collide, since patterns come from users and equal digests share masks.

Cost: 20 us for 50 states. Imports numba: import this file within functions.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from .byte_dfa import ByteDfa
from .kernel import compile_all
from .minimize_kernels import canonical, minimize

__all__ = ["minimized", "numbered"]


def minimized(table: np.ndarray, accepting: np.ndarray, class_of: np.ndarray) -> ByteDfa:
    """The ByteDfa of any DFA.

    table : int32[n_states, n_classes], state 0 dead, state 1 the start; accepting : uint8[n_states]
    class_of : uint8[256], classes numbered by their least byte
    """
    compile_all()
    return _made(*minimize(table, accepting, class_of))


def numbered(table: np.ndarray, accepting: np.ndarray, class_of: np.ndarray) -> ByteDfa:
    """The same of a DFA that the caller knows to be minimal and trimmed, in any numbering that starts at 1."""
    compile_all()
    return _made(*canonical(table, accepting, class_of))


def _made(table: np.ndarray, accepting: np.ndarray, class_of: np.ndarray) -> ByteDfa:
    return ByteDfa(table, accepting, class_of, digest_of(table, accepting, class_of))


def digest_of(table: np.ndarray, accepting: np.ndarray, class_of: np.ndarray) -> bytes:
    """16 bytes that name the language of a canonical automaton."""
    digest = blake2b(class_of.tobytes(), digest_size=16)
    digest.update(accepting.tobytes())
    digest.update(table.tobytes())
    return digest.digest()
