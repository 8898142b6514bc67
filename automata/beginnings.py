"""Which modules know the leaves that stores begin with (shared_stores.py).

They are named, not imported: the first store that is made imports them. This file imports nothing heavy.
"""

from __future__ import annotations

__all__ = ["begin_with", "modules"]

_modules: list[str] = []


def begin_with(module: str) -> None:
    """Names a module whose function `common_leaves()` gives the Beginnings of stores that are made from now on."""
    if module not in _modules:
        _modules.append(module)


def modules() -> tuple[str, ...]:
    return tuple(_modules)
