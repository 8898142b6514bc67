"""The command line: exit codes, what is said on which stream, and what is not imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import bridle
import vocabularies
from bridle.cli import app

PERSON = {
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
EBNF = 'root ::= "a" root | "b"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a grammar of each kind."""
    (tmp_path / "person.json").write_text(json.dumps(PERSON))
    (tmp_path / "ab.gbnf").write_text(EBNF)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def process(code: str, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    """The command line in a process of its own, after `code` has run there."""
    code += "\nimport sys; sys.argv[0] = 'bridle'; from bridle.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment}
    )


# ------------------------------------------------------------------------------------------------ bridle itself


def test_help_is_answered_at_once_and_loads_nothing_heavy() -> None:
    code = "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))"
    best = 9.0
    for _ in range(3):  # the best of three: the machine may be busy
        before = time.perf_counter()
        answer = process(code, "--help")
        best = min(best, time.perf_counter() - before)
        assert answer.returncode == 0
        assert "generate" in answer.stdout and "validate" in answer.stdout
        assert not set(answer.stderr.split()) & {"numba", "numpy", "torch", "transformers", "rich", "lark", "pydantic"}
    print(f"bridle --help: {best:.3f} s")
    assert best < 0.9  # 0.1 on an idle machine, 0.3 promised


def test_the_version_is_printed() -> None:
    answer = run("--version")
    assert (answer.exit_code, answer.stdout) == (0, f"bridle {bridle.__version__}\n")


@pytest.mark.parametrize("command", ["generate", "validate"])
@pytest.mark.parametrize("options", [[], ["--regex", "a", "--ebnf", "ab.gbnf"], ["--schema", "s", "--regex", "a"]])
def test_exactly_one_grammar_has_to_be_given(folder: Path, command: str, options: list[str]) -> None:
    answer = run(command, *options, *(["text"] if command == "validate" else []))
    assert answer.exit_code == 2
    wanted = "exactly one of --schema FILE, --regex R, --ebnf FILE, --lark FILE and --structural-tag FILE"
    assert wanted in answer.stderr
    assert not answer.stdout


def test_the_command_is_installed() -> None:
    script = Path(sys.executable).with_name("bridle")
    answer = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("bridle ")


# ------------------------------------------------------------------------------------------------ validate


def test_a_valid_file_exits_with_0(folder: Path) -> None:
    Path("good.json").write_text('\n{"age": 3,\n\n  "name": "Ada"}\n')  # any order, any white space
    answer = run("validate", "--schema", "person.json", "good.json")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "good.json: valid\n", "")


def test_an_invalid_value_is_shown_with_line_column_caret_pointer_and_what_was_expected(folder: Path) -> None:
    Path("bad.json").write_text('{"name": "Ada",\n "age": "old"}\n')
    answer = run("validate", "--schema", "person.json", "bad.json")
    first, line, caret, expected = answer.stdout.splitlines()
    assert answer.exit_code == 1
    assert first == "bad.json:2:9: this may not stand here (at /age)"
    assert line == '     "age": "old"}'
    assert caret.index("^") == line.index('"old"')
    assert expected.startswith("    expected: ") and "'0' to '9'" in expected


def test_a_text_that_ends_too_early_says_so_at_its_end(folder: Path) -> None:
    answer = run("validate", "--schema", "person.json", "-", stdin='{"name": "Ada"')
    assert answer.exit_code == 1
    assert answer.stdout.startswith("<stdin>:1:15: the text ends too early (at ")
    assert "','" in answer.stdout


def test_a_fault_at_the_root_is_called_that(folder: Path) -> None:
    answer = run("validate", "--schema", "person.json", "-", stdin="7")
    assert answer.stdout.startswith("<stdin>:1:1: this may not stand here (at the root)\n")


def test_every_file_is_judged_and_the_worst_decides(folder: Path) -> None:
    Path("good").write_text("ab")
    Path("bad").write_text("ba")
    assert run("validate", "--ebnf", "ab.gbnf", "good", "bad").exit_code == 1
    answer = run("validate", "--ebnf", "ab.gbnf", "good", "nowhere", "bad")
    assert answer.exit_code == 2
    assert answer.stderr == "nowhere: No such file or directory\n"
    assert answer.stdout.startswith("good: valid\nbad:1:2: ")


@pytest.mark.parametrize(
    ("text", "code"),
    [("123", 0), ("123\n", 0), ("123\r\n", 0), ("123\n\n", 1), ("12\n", 1), ("1234\n", 1), ("\n123", 1), ("", 1)],
)
def test_a_final_newline_does_not_count_under_a_regex(text: str, code: int) -> None:
    assert run("validate", "--regex", "[0-9]{3}", "-", stdin=text).exit_code == code


def test_a_final_newline_counts_where_the_grammar_asks_for_it(folder: Path) -> None:
    Path("line.gbnf").write_text(r'root ::= [a-z]+ "\n"')
    assert run("validate", "--ebnf", "line.gbnf", "-", stdin="abc\n").exit_code == 0
    assert run("validate", "--ebnf", "line.gbnf", "-", stdin="abc\n\n").exit_code == 0
    assert run("validate", "--ebnf", "line.gbnf", "-", stdin="abc").exit_code == 1


def test_a_missing_digit_is_reported_at_the_end_and_not_at_the_newline() -> None:
    answer = run("validate", "--regex", "[0-9]{3}", "-", stdin="12\n")
    assert answer.stdout == "<stdin>:1:3: the text ends too early\n    12\n      ^\n    expected: '0' to '9'\n"


def test_a_fault_within_a_character_is_shown_under_that_character(folder: Path) -> None:
    answer = run("validate", "--regex", "[à-é]{3}", "-", stdin="éàüé".encode())
    assert answer.stdout.startswith("<stdin>:1:3: ")
    assert answer.stdout.splitlines()[1:3] == ["    éàüé", "      ^"]


def test_bytes_that_are_no_text_are_invalid_and_shown() -> None:
    answer = run("validate", "--regex", ".*", "-", stdin=b"ab\xff\xfec")
    assert answer.exit_code == 1
    assert answer.stdout.startswith("<stdin>:1:3: this may not stand here\n    ab")


def test_a_malformed_schema_is_shown_with_its_pointer(folder: Path) -> None:
    Path("schema.json").write_text('{"properties": {"a": {"type": "strin"}}}')
    answer = run("validate", "--schema", "schema.json", "person.json")
    assert answer.exit_code == 2
    assert "schema.json: " in answer.stderr and "/properties/a/type" in answer.stderr and "'strin'" in answer.stderr
    assert not answer.stdout


def test_a_schema_that_is_no_json_is_shown_with_a_caret(folder: Path) -> None:
    Path("schema.json").write_text('{"type":\n  "object",,}')
    answer = run("validate", "--schema", "schema.json", "person.json")
    assert answer.exit_code == 2
    assert "line 2, column 12" in answer.stderr
    assert answer.stderr.splitlines()[-1].strip() == "^"


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        ("root ::= roo", "line 1, column 10"),
        ('root ::= "a', "line 1"),
        (b"root ::= \xff", "not UTF-8"),
        ("", "expected a rule"),
    ],
)
def test_a_malformed_ebnf_is_refused_with_its_place(folder: Path, grammar: str | bytes, said: str) -> None:
    Path("bad.gbnf").write_bytes(grammar if isinstance(grammar, bytes) else grammar.encode())
    answer = run("validate", "--ebnf", "bad.gbnf", "person.json")
    assert answer.exit_code == 2
    assert "bad.gbnf: " in answer.stderr and said in answer.stderr


def test_a_grammar_starts_at_the_rule_that_is_named(folder: Path) -> None:
    Path("two.gbnf").write_text('root ::= other "a"\nother ::= "b"+\n')
    assert run("validate", "--ebnf", "two.gbnf", "--start", "other", "-", stdin="bb").exit_code == 0
    assert run("validate", "--ebnf", "two.gbnf", "-", stdin="bb").exit_code == 1
    answer = run("validate", "--ebnf", "two.gbnf", "--start", "othr", "-", stdin="bb")
    assert answer.exit_code == 2 and "did you mean 'other'?" in answer.stderr
    Path("two.lark").write_text('start: "(" other ")"\nother: "b"+\n')
    assert run("validate", "--lark", "two.lark", "--start", "other", "-", stdin="bb").exit_code == 0
    answer = run("validate", "--schema", "person.json", "--start", "other", "-", stdin="bb")
    assert answer.exit_code == 2 and "--start belongs to --ebnf or --lark" in answer.stderr


def test_lark_grammars_import_from_the_folders_that_are_named(folder: Path) -> None:
    Path("shared").mkdir()
    Path("shared/words.lark").write_text("WORD: /[a-z]+/\n")
    Path("pair.lark").write_text('%import words.WORD\nstart: WORD "," WORD\n')
    found = run("validate", "--lark", "pair.lark", "--import-path", "none", "--import-path", "shared", "-", stdin="a,b")
    assert found.exit_code == 0
    answer = run("validate", "--lark", "pair.lark", "-", stdin="a,b")
    assert answer.exit_code == 2 and "there is no grammar words.lark to import" in answer.stderr
    answer = run("validate", "--ebnf", "ab.gbnf", "--import-path", "shared", "-", stdin="b")
    assert answer.exit_code == 2 and "--import-path belongs to --lark" in answer.stderr


def test_lark_grammars_judge_texts(folder: Path) -> None:
    Path("pair.lark").write_text('start: "(" NAME "," NAME ")"\nNAME: /[a-z]+/\n%ignore " "\n')
    assert run("validate", "--lark", "pair.lark", "-", stdin="(a, b)\n").exit_code == 0
    answer = run("validate", "--lark", "pair.lark", "-", stdin="(a b)")
    assert answer.exit_code == 1 and answer.stdout.startswith("<stdin>:1:4: this may not stand here")
    Path("bad.lark").write_text("start: (NAME\n")
    answer = run("validate", "--lark", "bad.lark", "-", stdin="")
    assert answer.exit_code == 2 and "bad.lark: " in answer.stderr and "line 1, column 8" in answer.stderr


def test_a_malformed_regex_is_refused_with_a_caret() -> None:
    answer = run("validate", "--regex", "[0-9]{3}(", "-", stdin="")
    assert answer.exit_code == 2
    assert answer.stderr.endswith("    [0-9]{3}(\n            ^\n")


def test_what_is_not_enforced_is_refused(folder: Path) -> None:
    Path("schema.json").write_text('{"items": {"format": "no-such-format", "$ref": "https://example.com/other"}}')
    assert run("validate", "--schema", "schema.json", "person.json").exit_code == 2


def test_a_reference_leads_to_a_file_that_is_given_as_a_resource(folder: Path) -> None:
    (folder / "schema.json").write_text('{"$ref": "http://example.com/name"}')
    (folder / "name.json").write_text('{"type": "string"}')
    schema = ("validate", "--schema", "schema.json", "-")
    assert run(*schema, "--resource", "http://example.com/name=name.json", stdin='"x"').exit_code == 0
    assert run(*schema, "--resource", "http://example.com/name=name.json", stdin="1").exit_code == 1
    assert "resources" in run(*schema, stdin="1").stderr
    missing = run(*schema, "--resource", "http://example.com/name=other.json", stdin="1")
    assert (missing.exit_code, "other.json" in missing.stderr) == (2, True)
    assert run(*schema, "--resource", "name.json", stdin="1").exit_code == 2
    assert "absolute URIs" in run(*schema, "--resource", "name=name.json", stdin="1").stderr
    assert run("validate", "--regex", "a", "-", "--resource", "a=name.json", stdin="a").exit_code == 2


@pytest.mark.parametrize("option", ["--schema", "--ebnf"])
@pytest.mark.parametrize("command", ["generate", "validate"])
def test_a_missing_grammar_file_is_named(folder: Path, command: str, option: str) -> None:
    answer = run(command, option, "nowhere", *(["person.json"] if command == "validate" else []))
    assert answer.exit_code == 2
    assert answer.stderr == "bridle: nowhere: No such file or directory\n"


def test_a_folder_is_no_file(folder: Path) -> None:
    assert run("validate", "--regex", "a", ".").exit_code == 2
    assert run("validate", "--schema", ".", "person.json").exit_code == 2


BLOCKER = """
import sys, socket
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
def refuse(*_, **__):
    raise AssertionError("the network was used")
socket.socket = socket.create_connection = refuse
"""


def test_validate_needs_no_torch_no_transformers_and_no_network(folder: Path) -> None:
    Path("good.json").write_text('{"name": "Ada", "age": 3}')
    answer = process(BLOCKER, "validate", "--schema", "person.json", "good.json", cwd=folder)
    assert (answer.returncode, answer.stdout) == (0, "good.json: valid\n"), answer.stderr
    answer = process(BLOCKER, "validate", "--regex", "[0-9]+", "good.json", cwd=folder)
    assert answer.returncode == 1 and "expected: '0' to '9'" in answer.stdout


def test_validate_reads_names_of_special_tokens_where_asked_to(folder: Path) -> None:
    Path("think.gbnf").write_text('root ::= <think> [a-z]* </think> "x"', "utf-8")
    arguments = ["validate", "--ebnf", "think.gbnf"]
    assert run(*arguments, "--as-generated", "-", stdin="<think>hm</think>x\n").exit_code == 0
    answer = run(*arguments, "-", stdin="<think>hm</think>x\n")
    assert answer.exit_code == 1 and "expected: <think>" in answer.stdout
    answer = run(*arguments, "--as-generated", "-", stdin="<think>hm</think>y\n")
    assert answer.exit_code == 1 and "<stdin>:1:18" in answer.stdout


def test_generate_without_torch_says_what_to_install() -> None:
    answer = process(BLOCKER, "generate", "--regex", "[0-9]+")
    assert answer.returncode == 2
    assert "pip install 'bridle[hf]'" in answer.stderr and "Traceback" not in answer.stderr


# ------------------------------------------------------------------------------------------------ generate


def generated(*arguments: str) -> Result:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return run("generate", *arguments)


def test_speculation_writes_the_same_text_and_says_what_it_was_worth(folder: Path) -> None:
    plain, drafted = (generated("--schema", "person.json", *more) for more in ((), ("--speculate",)))
    assert drafted.exit_code == 0, drafted.stderr
    assert drafted.stdout == plain.stdout
    assert "tokens a forward" in drafted.stderr and "forced" in drafted.stderr


def test_a_generated_object_is_valid_and_its_cost_is_told(folder: Path) -> None:
    answer = generated("--schema", "person.json")
    assert answer.exit_code == 0, answer.stderr
    assert set(json.loads(answer.stdout)) == {"name", "age"}
    assert answer.stdout.endswith("}\n")
    (line,) = answer.stderr.splitlines()
    assert "tokens" in line and "forwards" in line and "masks" in line and " us" in line
    # What it writes, validate accepts.
    assert run("validate", "--schema", "person.json", "-", stdin=answer.stdout).exit_code == 0


def test_a_seed_samples_reproducibly_and_no_seed_is_greedy(folder: Path) -> None:
    texts = [[generated("--schema", "person.json", *seed).stdout for _ in range(2)] for seed in ([], ["--seed", "3"])]
    others = {generated("--schema", "person.json", "--seed", str(n)).stdout for n in range(4)}
    assert texts[0][0] == texts[0][1] and texts[1][0] == texts[1][1]
    assert len(others) > 1


def test_regex_and_ebnf_are_generated_and_validate_accepts_what_comes_out(folder: Path) -> None:
    for grammar in (["--regex", "[a-z]{3,8}(, [a-zé]{3,8}){2}"], ["--ebnf", "ab.gbnf"]):
        answer = generated(*grammar, "--prompt", "Fruits: ", "--seed", "1")
        assert answer.exit_code == 0, answer.stderr
        assert run("validate", *grammar, "-", stdin=answer.stdout).exit_code == 0


def test_a_budget_that_is_too_small_for_any_text_is_said_and_exits_with_1(folder: Path) -> None:
    answer = generated("--schema", "person.json", "--max-new-tokens", "3")
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert re.search("max_tokens .* exceeded: [0-9]+ given, 3 allowed", answer.stderr)


def test_the_text_is_streamed_as_it_comes_into_being(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridle import cli

    written: list[bytes] = []
    monkeypatch.setattr(cli._StdoutStream, "_write", staticmethod(written.append))
    assert generated("--schema", "person.json").exit_code == 0
    assert len(written) > 5 and written[-1] == b"\n"
    assert set(json.loads(b"".join(written))) == {"name", "age"}


def test_a_malformed_grammar_is_refused_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridle import cli

    def never(*_: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(cli, "_hf", never)
    assert run("generate", "--regex", "(").exit_code == 2


def test_a_model_that_is_not_there_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    answer = generated("--regex", "a", "--model", str(tmp_path / "no-model"))
    assert answer.exit_code == 2
    assert "cannot be loaded" in answer.stderr


def test_the_default_prompt_names_the_schemas_title(folder: Path) -> None:
    from bridle.cli import _default_prompt

    Path("true.json").write_text("true")
    assert _default_prompt(Path("person.json")) == "Describe a person as JSON:\n"
    assert _default_prompt(Path("true.json")) == "Describe a record as JSON:\n"
    assert _default_prompt(None) == ""


# ------------------------------------------------------------------------------------------------ compile


def test_compile_keeps_a_grammar_that_load_reads(folder: Path) -> None:
    pytest.importorskip("transformers")
    answer = run("compile", "--ebnf", "ab.gbnf", "--precompute", "-o", "ab.bridle")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout == "" and "all that tokens lead to: ab.bridle, " in answer.stderr
    from bridle.integrations import hf

    model, tokenizer = hf.load()
    compiled = bridle.load(folder / "ab.bridle", hf.vocabulary_of(model, tokenizer))
    assert bridle.Matcher(compiled).accept_bytes("aab")


def test_compile_says_what_its_budget_left_out(folder: Path) -> None:

    tekken = str(vocabularies.tekken_file())
    arguments = ("compile", "--schema", "person.json", "--tokenizer", tekken, "-o", "person.bridle")
    answer = run(*arguments, "--precompute", "--states", "50")
    assert answer.exit_code == 0 and "50 configurations in " in answer.stderr and "the first of more" in answer.stderr
    assert run(*arguments, "--states", "50").exit_code == 2
    assert bridle.load(folder / "person.bridle", vocabularies.tekken()).n_states > 1


def test_compile_names_a_tokenizer_or_a_folder_that_is_not_there(folder: Path) -> None:
    pytest.importorskip("transformers")
    answer = run("compile", "--ebnf", "ab.gbnf", "--tokenizer", "no/such/folder/at/all", "-o", "ab.bridle")
    assert answer.exit_code == 2 and "no/such/folder/at/all" in answer.stderr
    (folder / "bad.model").write_bytes(b"no model")
    answer = run("compile", "--ebnf", "ab.gbnf", "--tokenizer", "bad.model", "-o", "ab.bridle")
    assert answer.exit_code == 2 and "bad.model" in answer.stderr and not (folder / "ab.bridle").exists()


@pytest.mark.parametrize("command", [("compile", "-o", "x.bridle"), ("generate",)], ids=["compile", "generate"])
def test_a_special_token_that_the_vocabulary_lacks_is_told_with_its_place(folder: Path, command) -> None:
    pytest.importorskip("transformers")
    (folder / "token.gbnf").write_text('root ::= "a" <|nowhere|>')
    answer = run(*command, "--ebnf", "token.gbnf")
    assert answer.exit_code == 2 and answer.stdout == ""
    assert "bridle: the vocabulary has no special token '<|nowhere|>'" in answer.stderr
    assert "line 1, column 14" in answer.stderr and not (folder / "x.bridle").exists()


# ------------------------------------------------------------------------------------------------ warmup


def test_warmup_keeps_what_later_processes_need(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    # The kernels of this machine stand in for compiling them anew, which takes most of a minute.
    from bridle.automata.cache_dir import cache_folders

    cache.mkdir()
    for folder in cache_folders():
        if (folder / "kernels").is_dir():
            (cache / "kernels").symlink_to(folder / "kernels")
            break
    answer = process("", "warmup", "--tokenizer", str(vocabularies.tekken_file()), BRIDLE_CACHE_DIR=str(cache))
    assert answer.returncode == 0, answer.stderr
    assert "automata of formats" in answer.stderr and "first mask" in answer.stderr and str(cache) in answer.stderr
    kept = {path.name.rpartition("-")[0] for path in (cache / "automata").iterdir()}
    assert {"email-strings", "uuid-values"} <= kept
    assert list((cache / "vocabularies").iterdir())
    before = {path: path.stat().st_mtime_ns for path in cache.glob("[av]*/*")}
    again = process("", "warmup", "--tokenizer", str(vocabularies.tekken_file()), BRIDLE_CACHE_DIR=str(cache))
    assert again.returncode == 0 and {path: path.stat().st_mtime_ns for path in cache.glob("[av]*/*")} == before


def test_warmup_says_what_is_wrong_with_a_tokenizer(tmp_path: Path) -> None:
    answer = run("warmup", "--tokenizer", str(tmp_path / "absent.json"))
    assert answer.exit_code == 2 and "cannot be read" in answer.output


# ------------------------------------------------------------------------------------------------ structural tags


def test_texts_are_judged_by_a_structural_tag(folder: Path) -> None:
    tag = {"type": "tag", "begin": "<age>", "content": {"type": "json_schema", "json_schema": PERSON}, "end": "</age>"}
    found = {"type": "structural_tag", "format": {"type": "triggered_tags", "triggers": ["<age"], "tags": [tag]}}
    Path("tag.json").write_text(json.dumps(found))
    Path("good.txt").write_text('He is <age>{"name": "Al", "age": 7}</age>, I think.\n')
    Path("bad.txt").write_text('He is <age>{"name": "Al", "age": "7"}</age>\n')
    answer = run("validate", "--structural-tag", "tag.json", "good.txt", "bad.txt")
    assert answer.exit_code == 1
    assert "good.txt: valid" in answer.stdout and "bad.txt:1:34: this may not stand here" in answer.stdout
    Path("tag.json").write_text(json.dumps({"type": "structural_tag", "format": {"type": "tags"}}))
    answer = run("validate", "--structural-tag", "tag.json", "good.txt")
    assert answer.exit_code == 2 and "unknown format 'tags'" in answer.stderr and "/format/type" in answer.stderr


# ------------------------------------------------------------------------------------------------ agents


TRACE = "Question: q\nThought: t\n{call}Thought: t\nFinal Answer: a\n"
CALL = 'Action: add\nAction Input: {"a": 1}\nObservation: 2\n'


def test_traces_are_judged_by_the_specification_of_an_agent(folder: Path) -> None:
    Path("tools.json").write_text(json.dumps([{"name": "add", "parameters": {"type": "object"}}]))
    Path("good.txt").write_text(TRACE.format(call=CALL))
    Path("bad.txt").write_text(TRACE.format(call=CALL + CALL))
    answer = run("validate", "--agent", "react", "--tools", "tools.json", "good.txt", "bad.txt")
    assert answer.exit_code == 1 and "good.txt: valid" in answer.stdout
    assert "bad.txt:6:1: action may not come here: it breaks the trace expression (step 6, action)" in answer.stdout
    assert "    Action: add\n    ^\n    expected: thought" in answer.stdout
    answer = run("validate", "--agent", "react", "--tools", "tools.json", "-", stdin=TRACE.format(call="")[:-5])
    assert answer.exit_code == 1 and "<stdin>:3:" in answer.stdout


def test_a_trace_with_bytes_that_are_no_utf8_is_invalid(folder: Path) -> None:
    Path("agent.yaml").write_text('agent: x\nstates:\n  a: {text: "A:"}\n')
    Path("t.txt").write_bytes(b"A: x\xffy\n")
    answer = run("validate", "--agent", "agent.yaml", "t.txt")
    assert answer.exit_code == 1 and "t.txt:1:5:" in answer.output


def test_a_specification_that_is_malformed_or_absent_is_named(folder: Path) -> None:
    Path("bad.yaml").write_text("agent: x\nstates:\n  a: {text: 3}\n")
    Path("bad.lisp").write_text("(define x (:states))")
    Path("tools.json").write_text("{}")
    Path("t.txt").write_text("A: x")
    for source, what in (
        ("bad.yaml", "line 3, column 13"),
        ("bad.lisp", ":behavior"),
        ("absent.yaml", "no agent named"),
    ):
        answer = run("validate", "--agent", source, "t.txt")
        assert answer.exit_code == 2 and source in answer.stderr and what in answer.stderr
        assert run("agent", "show", source).exit_code == 2
    assert run("validate", "--agent", "react", "t.txt").exit_code == 2  # it has no tools
    assert run("validate", "--agent", "react", "--tools", "absent.json", "t.txt").exit_code == 2
    assert run("validate", "--agent", "direct", "--schema", "person.json", "t.txt").exit_code == 2
    assert run("validate", "--schema", "person.json", "--tools", "tools.json", "t.txt").exit_code == 2


def test_an_agent_is_shown_as_a_table_or_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("two.yaml").write_text(
        'agent: two\nstates:\n  a: {text: "A:"}\n  b: {text: "B:"}\nbehavior:\n'
        "  formulas: {first: F(a), idle: F(a) | b}\n"
    )
    answer = run("agent", "show", "two.yaml")
    assert answer.exit_code == 0 and "a -> " in answer.stdout and "idle is never broken" in answer.stderr
    assert run("agent", "show", "two.yaml", "-o", "two.dot").exit_code == 0
    assert Path("two.dot").read_text().startswith("digraph")
    monkeypatch.setenv("PATH", "")
    answer = run("agent", "show", "two.yaml", "-o", "two.svg")
    assert answer.exit_code == 2 and "needs Graphviz" in answer.stderr
    assert "react " in run("agent", "list").stdout


def test_judging_traces_loads_no_torch(folder: Path) -> None:
    Path("t.txt").write_text("Question: q\nAnswer: a\n")
    code = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))"
    answer = process(code, "validate", "--agent", "direct", "t.txt")
    assert answer.returncode == 0 and answer.stdout == "t.txt: valid\n" and answer.stderr.strip() == "False"
