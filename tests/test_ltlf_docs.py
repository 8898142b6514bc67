"""What docs/ltlf.md promises that can be run is run: its examples, its table of operators, its templates."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridle.grammar.ltlf import TraceAutomaton, parse
from bridle.grammar.ltlf_declare import COUNTED, TEMPLATES
from bridle.grammar.ltlf_formula import Xor

DOCUMENT = (Path(__file__).parent.parent / "docs" / "ltlf.md").read_text()
ROWS = [
    [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in re.findall(r"^\| `.*\|$", DOCUMENT, re.MULTILINE)
]


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL))
def test_examples_run_and_print_what_they_say(example: str) -> None:
    answer = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", example, re.MULTILINE)


def test_every_form_of_the_syntax_table_is_read() -> None:
    forms = [form for cells in ROWS if len(cells) == 2 for form in re.findall("`(.*?)`", cells[0])]
    assert len(forms) > 25
    for form in forms:
        parse(form)


def test_every_template_is_listed_with_what_it_means() -> None:
    listed = {}
    for use, _, formula in (cells for cells in ROWS if len(cells) == 3):
        for name, operands in re.findall(r"`(\w+)\((.*?)\)`", use):
            listed[name] = (f"{name}({operands})", formula.strip("`"))
    assert set(listed) == {*COUNTED, *TEMPLATES}
    for use, formula in listed.values():
        if formula:
            numbers = {"n-1": "2", "n+1": "4", " n)": " 3)"}
            for letters, number in numbers.items():
                use, formula = use.replace(letters, number), formula.replace(letters, number)
            different = Xor(parse(use), parse(formula))
            assert not different.satisfiable(["a", "b", "c"]), use


def test_messages_are_as_shown() -> None:
    with pytest.raises(Exception) as caught:
        parse("G(action -> X obsevation)", ["action", "observation"])
    assert "\n".join(f"    {line}" for line in str(caught.value).splitlines()) in DOCUMENT
    with pytest.raises(Exception) as caught:
        TraceAutomaton("ab", {"ends": parse("end(a)"), "never": parse("absence(a)")})
    assert f"`{caught.value}`" in DOCUMENT
