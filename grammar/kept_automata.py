"""Automata that are known before they are made: looked up by their digests in the cache on disk, and kept there.

The automaton of an e-mail address takes 20 ms to make and 1 ms to read. Which automaton a name stands for is written in
the source, as its digest; what is read must have that digest, so a file that is damaged, foreign or of another version
is as good as none. A digest that the source no longer has in step with what is made is found by a test, and until then
nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.cache_dir import read_sealed, write_sealed

__all__ = ["kept"]

_KIND = "automaton 2"


def kept(name: str, digest: str, make: Callable[[], ByteDfa]) -> ByteDfa:
    """The automaton of this digest (hexadecimal) from the disk; or what `make` makes, which is written there for it.

    name : what the file is called beside the digest.
    """
    file = f"automata/{name}-{digest}"
    arrays = read_sealed(file, _KIND)
    if arrays is not None and (found := _checked(arrays, digest)) is not None:
        return found
    made = make()
    if made.digest.hex() == digest:
        table = made.table.astype(np.uint16)  # of fewer than 2^16 states
        write_sealed(file, _KIND, {"table": table, "accepting": made.accepting, "classes": made.byte_class})
    return made


def _checked(arrays: dict[str, np.ndarray], digest: str) -> ByteDfa | None:
    from ..automata.minimize import digest_of

    try:
        n = arrays["accepting"].size
        table = arrays["table"].astype(np.int32).reshape(n, -1)
        accepting, classes = arrays["accepting"].copy(), arrays["classes"].copy()
    except (KeyError, ValueError):
        return None
    if n < 2 or classes.size != 256 or table.shape[1] != int(classes.max()) + 1 or int(table.max()) >= n:
        return None
    found = digest_of(table, accepting, classes)
    return ByteDfa(table, accepting, classes, found) if found.hex() == digest else None
