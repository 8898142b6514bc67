"""The standard's own test suite: every instance is judged as it says, or its schema is refused.

Each instance is serialised and read in two ways, by `bridle.validate` and by a Matcher over single bytes with members
in any order; both must say what the suite says. A schema may be refused (UnsupportedError, LimitError), which is
counted per file and shown by `pytest -s`; a well-formed schema called malformed, or a wrong answer, fails.

The required files are read with formats as annotations, which is what their format.json expects; `optional/format`
with formats asserted; the other optional files as the required ones.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import bridle
from oracle import vocabulary_of

SUITE = Path(__file__).resolve().parents[2] / "shared" / "data" / "json-schema-test-suite"
DRAFTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
# The least share of instances that are judged, not refused, by what the files are.
EXACT_SHARE = {"required": 0.95, "optional": 0.94, "formats": 0.84}
FILES = {
    "required": ("*.json", "annotate"),
    "optional": ("optional/*.json", "annotate"),
    "formats": ("optional/format/*.json", "assert"),
}

# Where bridle differs on purpose: (file, the beginning of a group's description) and why.
KNOWN = {
    ("hostname", "validation of A-label (punycode) host names"): "A-labels are left out, and noted",
    ("idn-hostname", "validation of "): "A-labels, long labels and rare scripts are left out, and noted",
    ("idn-email", "validation of "): "labels that are not in normal form are left out, and noted",
    ("ecmascript-regex", "ECMA 262 named groups and backreferences are valid"): "named groups are left out, and noted",
    ("content", "validation of "): "contentMediaType and contentEncoding are annotations, as draft 7 permits",
}


class Case(NamedTuple):
    """A group of the suite: a schema and its instances."""

    file: str
    description: str
    schema: dict | bool
    tests: list[dict]


def groups(draft: str, pattern: str) -> list[Case]:
    found = []
    for path in sorted((SUITE / draft).glob(pattern)):
        for group in json.loads(path.read_text()):
            schema = group["schema"]
            if isinstance(schema, dict) and path.stem != "no-schema":
                schema = {"$schema": DRAFTS[draft], **schema}
            found.append(Case(path.stem, group["description"], schema, group["tests"]))
    return found


@cache
def remotes() -> dict[str, bytes]:
    """The schemas that the suite expects a validator to have been given, by their URIs."""
    root = SUITE / "remotes"
    return {f"http://localhost:1234/{path.relative_to(root)}": path.read_bytes() for path in root.rglob("*.json")}


class Readers:
    """The two ways of reading; None stands for a schema that nothing satisfies."""

    BYTES = vocabulary_of([bytes((byte,)) for byte in range(256)])

    def __init__(self, schema: dict | bool, formats: str) -> None:
        self.grammar = self.compiled = None
        try:
            self.grammar = bridle.Grammar.from_json_schema(
                schema, property_order="any", formats=formats, resources=remotes()
            )
            self.compiled = bridle.compile(self.grammar, self.BYTES)
        except bridle.UnsatisfiableError:
            pass

    def accept(self, text: str) -> tuple[bool, bool]:
        """What `validate` says and what the Matcher says."""
        if self.grammar is None or self.compiled is None:
            return False, False
        matcher = bridle.Matcher(self.compiled)
        return bridle.validate(self.grammar, text).ok, matcher.accept_bytes(text.encode()) and matcher.is_accepting()


def outcome(readers: Readers, test: dict) -> str:
    """ "exact", "refused", or what is wrong."""
    text = json.dumps(test["data"])
    try:
        by_validate, by_matcher = readers.accept(text)
    except bridle.LimitError:
        return "refused"
    if by_validate == by_matcher == test["valid"]:
        return "exact"
    return f"{test['description']}: {text[:80]} valid: {test['valid']}, validate: {by_validate}, Matcher: {by_matcher}"


def judged(case: Case, formats: str) -> list[str]:
    try:
        readers = Readers(case.schema, formats)
    except (bridle.UnsupportedError, bridle.LimitError):
        return ["refused"] * len(case.tests)
    except bridle.GrammarError as error:
        return [f"{test['description']}: called malformed: {error}" for test in case.tests]
    return [outcome(readers, test) for test in case.tests]


@pytest.mark.parametrize("files", FILES)
@pytest.mark.parametrize("draft", DRAFTS)
def test_the_standards_suite_is_answered_exactly_or_its_schema_refused(draft, files):
    if not SUITE.is_dir():
        pytest.skip(f"the JSON-Schema-Test-Suite is not at {SUITE}")
    pattern, formats = FILES[files]
    by_file: dict[str, Counter[str]] = {}
    wrong = []
    for case in groups(draft, pattern):
        counts = by_file.setdefault(case.file, Counter())
        for result in judged(case, formats):
            if result not in ("exact", "refused"):
                known = any(case.file == file and case.description.startswith(group) for file, group in KNOWN)
                if known and (case.file in ("content", "cross-draft") or " valid: True, " in result):
                    result = "known"
                else:
                    wrong.append(f"{case.file}: {case.description}: {result}")
                    result = "wrong"
            counts[result] += 1
    total = sum(by_file.values(), Counter())
    print(f"\n{draft} {files}: {dict(total)}")
    for file, counts in by_file.items():
        print(f"  {file}: {dict(counts)}")
    assert not wrong, "\n".join(wrong)
    assert total["exact"] >= EXACT_SHARE[files] * total.total()
