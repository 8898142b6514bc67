"""The layout's rules, read off the syntax trees: imports run one way, torch starts in the sampler, files have names."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["automata", "grammar", "sampler", "speculative", "integrations", "bridle"]
FILES = [path for package in ORDER for path in sorted((ROOT / package).rglob("*.py"))]
NAMELESS = {"utils.py", "core.py", "helpers.py", "common.py", "misc.py"}
TORCH = {"torch", "transformers", "safetensors", "tokenizers", "vllm"}
WITHOUT_TORCH = ("automata", "grammar", "bridle")
# What the package itself may need; everything else is an optional dependency and imported where it is used.
REQUIRED = {
    "numpy", "numba", "llvmlite", "lark", "regex", "pydantic", "yaml", "jsonschema_specifications", "typer", "rich",
}  # fmt: skip


def module_name(path: Path) -> str:
    """`bridle.automata.matcher` for automata/matcher.py; a package's own name for its __init__.py."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] != "bridle":
        parts.insert(0, "bridle")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, nested: bool = True) -> Iterator[tuple[str, int]]:
    """The absolute names of the modules and members that a file imports, with their lines.

    nested : those within functions and classes, and under TYPE_CHECKING, too
    """
    tree = ast.parse(path.read_text(), str(path))
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def layer(name: str) -> int | None:
    """Where an imported name stands in the order; None outside bridle."""
    parts = name.split(".")
    if parts[0] != "bridle":
        return None
    inner = parts[1] if len(parts) > 1 and parts[1] in ORDER else "bridle"
    return ORDER.index(inner)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_imports_run_one_way(path: Path) -> None:
    own = ORDER.index(path.relative_to(ROOT).parts[0])
    back = [(name, line) for name, line in imports(path) if (layer(name) or 0) > own]
    assert not back, f"{shown(path)} imports from a package to its right: {back}"


def test_the_walk_sees_relative_nested_and_absolute_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "automata" / "sub" / "file.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from . import near\nfrom ..fragment import Target\nimport bridle.grammar\n"
        "def f():\n    from ...grammar.rules import Rule\n    from bridle import compile\n"
    )
    found = [name for name, _ in imports(path)]
    assert found == [
        "bridle.automata.sub.near", "bridle.automata.fragment.Target", "bridle.grammar",
        "bridle.grammar.rules.Rule", "bridle.compile",
    ]  # fmt: skip
    assert [layer(name) for name in found] == [0, 0, 1, 1, 5]
    assert layer("numpy.random") is None
    assert len(list(imports(path, nested=False))) == 3


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(ROOT).parts[0] in WITHOUT_TORCH], ids=shown)
def test_torch_starts_in_the_sampler(path: Path) -> None:
    early = [(name, line) for name, line in imports(path, nested=False) if name.split(".")[0] in TORCH]
    assert not early, f"{shown(path)} imports {early} at module level"


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(ROOT).parts[0] in WITHOUT_TORCH], ids=shown)
def test_what_is_imported_at_module_level_is_a_dependency(path: Path) -> None:
    known = {*sys.stdlib_module_names, *REQUIRED, "bridle"}
    strange = [(name, line) for name, line in imports(path, nested=False) if name.split(".")[0] not in known]
    assert not strange


def test_no_file_is_named_for_nothing() -> None:
    assert not [shown(path) for path in FILES if path.name in NAMELESS]


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_every_file_opens_with_its_idea(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if tree.body:
        assert ast.get_docstring(tree), f"{shown(path)} has no docstring"


def test_every_package_is_installed() -> None:
    """A folder that pyproject.toml does not name works in an editable install and is missing from the wheel."""
    text = (ROOT / "pyproject.toml").read_text()
    named = set(re.findall(r'^  "(bridle[\w.]*)",$', text, re.MULTILINE))
    there = {module_name(path) for path in FILES if path.name == "__init__.py"}
    assert there <= named


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    files = [*FILES, *(ROOT / name for name in ("README.md", "Makefile", "pyproject.toml", ".ci/run"))]
    assert not [shown(path) for path in files if re.search(r"(?<![\w.$~])/(home|root|work)/\w", path.read_text())]
