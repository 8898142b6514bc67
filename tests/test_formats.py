"""Formats: the official suite, words of each language before independent judges, and the bounds of what is left out."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections import deque
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pytest

from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.errors import GrammarError, UnsupportedError
from bridle.automata.regular import compile_regular
from bridle.grammar import formats, formats_idn, regex_syntax, schema_scan
from bridle.grammar.formats import FORMATS, format_language, format_note
from bridle.grammar.formats_host import charged
from bridle.grammar.json_text import json_spelled, quoted
from bridle.grammar.kept_automata import kept
from bridle.grammar.kept_digests import SPELLINGS, VALUES
from naive_formats import JUDGES, NARROWED

SUITE = Path(__file__).resolve().parents[2] / "shared" / "data" / "json-schema-test-suite"


def accepts(name: str, text: str) -> bool:
    return format_language(name).accepts(text.encode())


def is_noted(name: str, text: str) -> bool:
    """Whether a valid value of the suite is one of those that format_note says are left out."""
    match name:
        case "hostname":
            return "xn--" in text
        case "idn-hostname":
            return "xn--" in text or text.startswith("παράδειγμα" * 5)  # 52 characters
        case "idn-email":
            return "e\u0301.com" in text  # not NFC
        case "regex":
            return r"\k" in text
    return False


@pytest.mark.skipif(not SUITE.exists(), reason="the JSON Schema test suite is not beside this checkout")
@pytest.mark.parametrize("draft", ["draft7", "draft2020-12"])
def test_the_suite_agrees_but_for_what_the_notes_leave_out(draft):
    seen = 0
    for path in sorted((SUITE / draft / "optional" / "format").glob("*.json")):
        for group in json.loads(path.read_text()):
            name = group["schema"].get("format")
            for case in group["tests"] if name in FORMATS else ():
                if isinstance(case["data"], str):
                    expected = case["valid"] and not is_noted(name, case["data"])
                    assert accepts(name, case["data"]) is expected, (name, case["data"], case["description"])
                    seen += 1
    assert seen > 500


def test_every_format_that_the_scan_knows_has_a_language():
    assert schema_scan.FORMATS <= FORMATS


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_languages_are_minimal_automata_that_json_can_spell(name):
    language = format_language(name)
    language.verify()
    assert not language.is_empty
    assert not quoted(json_spelled(language)).is_empty  # within the default limits
    assert format_language(name) is language


@pytest.mark.parametrize("name", ["no-such-format", ""])
def test_an_unknown_format_is_a_key_error(name):
    with pytest.raises(KeyError):
        format_language(name)
    with pytest.raises(KeyError):
        format_note(name)


# ------------------------------------------------------------------------------------------------ random words


@lru_cache(maxsize=4)
def _ways_out(language: ByteDfa) -> tuple[list[list[tuple[int, int]]], list[tuple[int, int] | None]]:
    """Per state the moves (a byte, target), one per target; and the first move of a shortest way to acceptance."""
    moves = []
    for row in language.transitions:
        targets: dict[int, list[int]] = {}
        for byte in np.flatnonzero(row).tolist():
            targets.setdefault(int(row[byte]), []).append(byte)
        moves.append([(tuple(found), target) for target, found in targets.items()])
    into: list[list[tuple[int, int]]] = [[] for _ in moves]
    for source, found in enumerate(moves):
        for each, target in found:
            into[target].append((source, each[0]))
    home: list[tuple[int, int] | None] = [None] * len(moves)
    waiting = deque(np.flatnonzero(language.accepting).tolist())
    done = set(waiting)
    while waiting:
        target = waiting.popleft()
        for source, byte in into[target]:
            if source not in done:
                done.add(source)
                home[source] = (byte, target)
                waiting.append(source)
    return moves, home


def word_of(language: ByteDfa, chance: random.Random) -> str:
    """A random walk, then the shortest way to a text of the language."""
    moves, home = _ways_out(language)
    state, out = 1, bytearray()
    for _ in range(chance.choice((2, 8, 30, 90, 300))):
        if not moves[state]:
            break
        found, state = chance.choice(moves[state])
        out.append(chance.choice(found))
    while not language.accepting[state]:
        byte, state = home[state]
        out.append(byte)
    return out.decode()


def mutated(text: str, chance: random.Random) -> str:
    """One character dropped, doubled, replaced or exchanged."""
    at = chance.randrange(len(text) + 1)
    other = chance.choice('0123456789abzAFGTZ-+:./@%#?[]{}~"\\ !*,\n\u0660é・\U0001f600')
    return chance.choice(
        (
            text[:at] + text[at + 1 :],
            text[:at] + other + text[at:],
            text[:at] + other + text[at + 1 :],
            text[:at] + text[at : at + 1] * 2 + text[at + 1 :],
            text[:at][:-1] + text[at : at + 1] + text[:at][-1:] + text[at + 1 :],
        )
    )


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_random_words_are_valid_and_mutated_ones_are_judged_alike(name):
    if name.startswith("idn-"):
        pytest.importorskip("idna", reason="the judge of internationalized names is the idna package")
    language, judge, chance = format_language(name), JUDGES[name], random.Random(name)
    for _ in range(400):
        word = word_of(language, chance)
        assert language.accepts(word.encode()) and judge(word), word
        for _ in range(5):
            word = mutated(word, chance)
            found = language.accepts(word.encode())
            if name in NARROWED:
                assert judge(word) or not found, word
            else:
                assert judge(word) is found, word


@pytest.mark.parametrize("name", ["date", "ipv4", "ipv6", "uuid"])
def test_random_words_are_valid_for_the_jsonschema_package(name):
    jsonschema = pytest.importorskip("jsonschema")
    checker, chance = jsonschema.FormatChecker(), random.Random(0)
    for _ in range(200):
        word = word_of(format_language(name), chance)
        if name == "date" and word.startswith("0000"):
            continue  # Python's calendar begins with year 1
        assert checker.conforms(word, name), word


# ------------------------------------------------------------------------------------------------ patterns


def patterns(count: int) -> list[str]:
    chance = random.Random(1)
    return [word_of(format_language("regex"), chance) for _ in range(count)]


def test_random_patterns_are_syntax_for_the_parser():
    for pattern in patterns(400):
        try:
            regex_syntax.parse(pattern, "ecma")
        except UnsupportedError:
            pass  # syntax all the same
        except GrammarError as error:
            pytest.fail(f"{pattern!r}: {error}")


@pytest.mark.skipif(shutil.which("node") is None, reason="node, an ECMA-262 engine, is not installed")
def test_patterns_are_judged_as_an_engine_does():
    chance = random.Random(2)
    words = patterns(600)
    mutants = [mutated(word, chance) for word in words for _ in range(4)]
    script = """
        const words = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const valid = w => { try { new RegExp(w, "u"); return true } catch { return false } };
        console.log(JSON.stringify(words.map(valid)));"""
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(words + mutants), capture_output=True, text=True, check=True
    )
    verdicts = json.loads(done.stdout)
    for word, valid in zip(words + mutants, verdicts, strict=True):
        assert valid or not accepts("regex", word), word
    assert all(verdicts[: len(words)])


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z][a-z0-9_-]*$", r"^\d{4}-\d{2}-\d{2}$", r"^(\+\d{1,2}\s)?\(?\d{3}\)?$", "[^]", "", "|", r"\/\u{1F600}",
        r"^([0-9A-F]{2}[:\-]){5}([0-9A-F]{2})$", "^(a|(b|(c|d)+)?)*?$", "^(?=.*[A-Z])(?=.*[0-9]).{12,16}$", r"\p{Lu}+",
        r"^(?<year>\d{4})\1$", r"\0[\0]\0a", r"[\w.+-]+@[\w\-]+\.[\w.-]+", r"^\S(.*\S)?$", "[1-5]{3,}", "[ -~]+",
    ],
)  # fmt: skip
def test_usual_patterns_are_patterns(pattern):
    assert accepts("regex", pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "[", "a{", "}", "]", "*", "a**", "^*", r"\b+", "(?=a)?", "(?:a", r"\01", r"[\01]", r"\\\01", r"\_",
        "a{2,1}", "{1}", "[z-a]", "[9-0]", r"[\d-z]", r"\p{Foo}", r"\p", r"\u{110000}", r"\u12", r"\x1", r"\c1", r"\1",
        "(?<a>)(?<a>)", "(?<1>a)", "(?<>a)", "(?i:a)(?", r"\k<a>", r"(?<a>)\12", r"(?<a>)\2",
        "a{99,98}", "a{12,11}", "a{100,99}",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_none(pattern):
    assert not accepts("regex", pattern)


# ------------------------------------------------------------------------------------------------ names


def test_host_names_are_charged_by_label():
    chance = random.Random(3)
    for _ in range(2000):
        lengths = [chance.choice((1, 3, 7, 8, 20, 31, 32, 61, 62, 63, 64)) for _ in range(chance.randrange(1, 12))]
        used, fits = 0, True
        for length in lengths:
            if length > 63:
                fits = False
                break
            start, after = charged(used, length)
            fits = fits and start + length <= 253
            used = after
        name = ".".join("a" * length for length in lengths)
        assert accepts("hostname", name) is fits, lengths
        assert len(name) <= 253 or not fits


@pytest.mark.parametrize("lengths", [(63, 63, 63, 61), (7,) * 31, (3, 20, 5, 20, 5, 20, 3), (63,), (40, 3, 40, 3)])
def test_usual_host_names_fit(lengths):
    assert accepts("hostname", ".".join("a" * length for length in lengths))


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("münchen.de", True), ("www.例え.テスト", True), ("Bücher.de", False), ("пример.рф", True), ("مثال.com", True),
        ("www.مثال.com", True), ("1.مثال", False), ("מבחן.1a", False), ("ไทย.com", True), ("실례。테스트", True),
        ("a--ü.de", True), ("ü---a", False), ("ab--ü", False), ("l·l·l", True), ("ü-", False), ("a" * 63 + ".ü", True),
        ("字" * 10, True), ("字" * 11, False), ("字" * 10 + "." + "я" * 16 + ".com", True), ("1.2.3.4", False),
        ("・〆", False), ("・ー", False), ("コー・ヒー", True), ("コ・ー", True), ("・丈", True),
        ("क्ष", True), ("ü。", False), ("a" * 20 + ".א", True), ("a" * 21 + ".א", False), ("a" * 21 + ".ü", True),
    ],
)  # fmt: skip
def test_internationalized_names(name, valid):
    assert accepts("idn-hostname", name) is valid
    if valid:
        assert accepts("idn-email", f"実例@{name}") is ("。" not in name)


def digits_of(delta: int, bias: int) -> int:
    """How many digits Punycode writes a delta with (RFC 3492, section 6.3)."""
    count, k = 1, 36
    while True:
        threshold = min(max(k - bias, 1), 26)
        if delta < threshold:
            return count
        delta = (delta - threshold) // (36 - threshold)
        count, k = count + 1, k + 36


def adapted(delta: int, points: int, first: bool) -> int:
    """The bias after a delta (RFC 3492, section 6.1)."""
    delta = delta // 700 if first else delta // 2
    delta += delta // points
    k = 0
    while delta > 455:
        delta, k = delta // 35, k + 36
    return k + 36 * delta // (delta + 38)


@cache
def cheapest_deltas(bias: int, points: int, first: bool, most: int) -> dict[tuple[int, int], int]:
    """Per (number of digits, next bias) a lower bound of the deltas that give it: of samples, the one before and 1."""
    found: dict[tuple[int, int], int] = {}
    delta, before = 0, -1
    while delta <= most:
        found.setdefault((digits_of(delta, bias), adapted(delta, points, first)), before + 1)
        before, delta = delta, delta + max(1, delta // 300)
    return found


def longest_a_label(basic: int, others: int, last: int) -> int:
    """A bound of the octets of an A-label of so many ASCII characters and others up to the code point `last`.

    Dynamic programming over the encoder's bias: the least code point that can be reached with each number of digits.
    """
    reached = {(72, 0): 0}
    for i in range(others):
        points, then = basic + i + 1, {}
        for (bias, digits), code in reached.items():
            for (more, next_bias), delta in cheapest_deltas(bias, points, i == 0, (last - 127) * points).items():
                if (at := code + delta // points) <= last - 128:
                    key = next_bias, digits + more
                    then[key] = min(at, then.get(key, at))
        best: dict[int, int] = {}
        reached = {}
        for (bias, digits), code in sorted(then.items(), key=lambda item: -item[0][1]):
            if code < best.get(bias, last):
                best[bias] = reached[bias, digits] = code
    return 4 + basic + (basic > 0) + max(digits for _, digits in reached)


@pytest.mark.parametrize(("kind", "last"), [(2, 0x7FF), (3, 0xFFFF), (4, 0xFFFF)])
def test_labels_of_the_longest_kind_have_short_a_labels(kind, last):
    most = formats_idn.MOST_CODE_POINTS[formats_idn._Kind(kind)]
    assert max(longest_a_label(most - others, others, last) for others in range(1, most + 1)) <= 61


def test_the_bound_on_a_labels_holds_of_random_ones():
    chance = random.Random(4)
    for basic, others, last in ((0, 1, 0x7FF), (2, 3, 0xD7FF), (0, 5, 0xD7FF), (3, 5, 0x7FF)):
        bound = longest_a_label(basic, others, last)
        for _ in range(300):
            codes = [chance.choice((0x80, last, chance.randint(0x80, last))) for _ in range(others)]
            text = "a" * basic + "".join(map(chr, codes))
            assert 4 + len(text.encode("punycode")) <= bound


def test_letters_of_internationalized_names_are_admitted_and_stay_as_they_are():
    idna = pytest.importorskip("idna", reason="the tables of IDNA 2008 are the idna package's")
    import unicodedata

    letters = (*formats_idn._TWO_BYTES, *formats_idn._GREEK, *formats_idn._THREE_BYTES, *formats_idn._JAPANESE,
               *formats_idn._HEBREW, *formats_idn._ARABIC, *formats_idn._ARABIC_JOINING_BOTH,
               *formats_idn._ARABIC_JOINING_RIGHT)  # fmt: skip
    marks = formats_idn._MARKS
    for lo, hi in (*letters, *marks):
        for code in range(lo, hi + 1):
            character = chr(code)
            if (lo, hi) not in marks:
                idna.check_label("a" + character if 0x6F0 <= code <= 0x6F9 else character)
                assert not unicodedata.category(character).startswith("M")
            assert unicodedata.is_normalized("NFC", character) and unicodedata.combining(character) == 0


def test_no_two_letters_or_marks_of_internationalized_names_compose():
    import unicodedata

    own = {code for part in (formats_idn._TWO_BYTES, formats_idn._GREEK, formats_idn._THREE_BYTES, formats_idn._MARKS,
                             formats_idn._VIRAMA, formats_idn._ARABIC, formats_idn._HEBREW)
           for lo, hi in part for code in range(lo, hi + 1)}  # fmt: skip
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            assert int(parts[1], 16) not in own, hex(code)


# ------------------------------------------------------------------------------------------------ kept on disk


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_automata_of_a_format_are_those_whose_digests_are_in_the_source(name):
    values = compile_regular(formats._LANGUAGES[name][0]())  # made anew, whatever the disk holds
    found = values.digest.hex(), quoted(json_spelled(values)).digest.hex()
    assert found == (VALUES[name], SPELLINGS[name]), "the language has changed: write these into kept_digests.py"


def test_a_kept_automaton_is_read_back_and_a_damaged_one_is_made_again(tmp_path, monkeypatch):
    made = format_language("uuid")
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path))
    digest = made.digest.hex()

    def fail() -> ByteDfa:
        raise AssertionError("made, though it is kept")

    assert kept("uuid", digest, lambda: made) is made
    again = kept("uuid", digest, fail)
    again.verify()
    assert again == made and np.array_equal(again.table, made.table)
    (path,) = tmp_path.glob("automata/*")
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert kept("uuid", digest, lambda: made) is made
    path.write_bytes(content[:100])
    assert kept("uuid", digest, lambda: made) is made


def test_an_automaton_of_another_digest_is_not_kept(tmp_path, monkeypatch):
    made = format_language("uuid")
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path))
    assert kept("uuid", "00" * 16, lambda: made) is made
    assert not list(tmp_path.glob("automata/*"))
    # A whole file under the wrong name is no better than none.
    kept("uuid", made.digest.hex(), lambda: made)
    (path,) = tmp_path.glob("automata/*")
    path.rename(path.with_name("uuid-" + "00" * 16))
    assert kept("uuid", "00" * 16, lambda: made) is made
