"""The README's promises that can be run are run: the ten lines, the commands, the layout's entry functions."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_ten_lines_run() -> None:
    pytest.importorskip("transformers")
    example, *_ = EXAMPLES
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    answer = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert re.fullmatch(r"\{'name': '.*', 'age': \d+\} True \d+ us a mask\n", answer.stdout)


@pytest.mark.parametrize("example", EXAMPLES[1:])
def test_the_other_examples_run_and_print_what_they_say(example: str) -> None:
    answer = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", example, re.MULTILINE)


def test_every_option_of_the_commands_shown_exists() -> None:
    shown = re.findall(r"^    (bridle .*)$", README, re.MULTILINE)
    assert len(shown) >= 5
    for line in shown:
        _, command, *words = shlex.split(line, comments=True)
        commands = [command, words[0]] if command == "agent" else [command]
        answer = subprocess.run(
            [sys.executable, "-m", "bridle.cli", *commands, "--help"], capture_output=True, text=True, check=True
        )
        for word in words:
            assert not word.startswith("-") or word == "-" or word in answer.stdout, line


def test_make_has_the_targets_shown() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^    make ([\w-]+)", README, re.MULTILINE)) == {"demo", "test"} <= targets
    assert set(re.findall(r"`make ([\w-]+)`", README)) <= targets


def test_every_package_of_the_layout_has_the_entry_function_shown() -> None:
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (?:`([\w.]+)`)? ?\|$", README, re.MULTILINE)
    assert [name for name, _ in rows] == ["automata", "grammar", "sampler", "speculative", "integrations", "bridle"]
    for package, entry in rows:
        if not entry:
            continue
        module, *names = entry.split(".")
        if module == "hf":
            pytest.importorskip("transformers")
        thing = importlib.import_module(f"bridle.{module}" if package == "bridle" else f"bridle.{package}.{module}")
        for name in names:
            thing = getattr(thing, name)
        assert callable(thing)
