"""The command line: `bridle generate` writes a text inside a grammar, `bridle validate` judges texts that exist,
`bridle compile` keeps a grammar's masks in a file, `bridle warmup` makes what is made once per machine, `bridle agent`
shows specifications of agents.

Idea. A command is a page: read the grammar from one of its options, do one thing, say what came of it. What a
command produces (the text, the verdicts) goes to stdout; what went wrong and what it cost goes to stderr. Exit codes:

    0   complete, or valid
    1   not: the token budget was reached first, or a text is invalid
    2   nothing to judge: wrong usage, a malformed grammar, a file that is not there, torch that is not installed

INVARIANT: `validate` needs no tokenizer, torch or network, and imports none.
INVARIANT: every import of the library happens within a command, so that `--help` is answered before numba is loaded.

Decisions. Without `--seed`, `generate` is greedy whatever the model's own configuration says, so a command line gives
the same text twice; with one it samples at temperature 0.8. Its text on stdout is followed by one newline. Text files
end with a newline that is no part of what they say: unless it is JSON, `validate` accepts a text as it stands or
without its final newline (LF or CRLF), and where neither is valid shows the reading that got further. JSON may be
surrounded by white space in any case.

Cost: `--help` 0.1 s, all of it the interpreter and typer without rich; `validate` 1 s, of which numba is half.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from . import __version__

if TYPE_CHECKING:
    from .automata.vocabulary import Vocabulary
    from .grammar.agent_spec import AgentSpec
    from .grammar.grammar import Grammar
    from .grammar.validation import Verdict

__all__ = ["app", "main"]

_INCOMPLETE = _INVALID = 1
_UNUSABLE = 2
_TEMPERATURE = 0.8
_EXPECTED_SHOWN = 12

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Structured decoding: language models that cannot leave their grammar.",
)

Schema = Annotated[Path | None, typer.Option("--schema", metavar="FILE", help="A JSON schema.")]
Regex = Annotated[str | None, typer.Option("--regex", metavar="R", help="A regular expression, for the whole text.")]
Ebnf = Annotated[Path | None, typer.Option("--ebnf", metavar="FILE", help="An EBNF grammar (GBNF); starts at `root`.")]
StructuralTag = Annotated[
    Path | None, typer.Option("--structural-tag", metavar="FILE", help="A structural tag: free text and tags, as JSON.")
]
Lark = Annotated[Path | None, typer.Option("--lark", metavar="FILE", help="A Lark grammar; starts at `start`.")]
Start = Annotated[
    str | None, typer.Option("--start", metavar="RULE", help="The rule of --ebnf or --lark that a text is.")
]
ImportPath = Annotated[
    list[Path] | None,
    typer.Option("--import-path", metavar="DIR", help="Where %import of --lark finds grammars; repeatable."),
]
Agent = Annotated[
    str | None,
    typer.Option("--agent", metavar="FILE", help="A specification of an agent, or the name of one of `agent list`."),
]
Tools = Annotated[
    Path | None,
    typer.Option("--tools", metavar="FILE", help="The tools of the --agent: a JSON list of names and parameters."),
]
Resource = Annotated[
    list[str] | None,
    typer.Option("--resource", metavar="URI=FILE", help="A schema that $ref in the --schema may name; repeatable."),
]


def main() -> None:
    """The entry point `bridle`."""
    app(prog_name="bridle")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bridle {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Structured decoding: language models that cannot leave their grammar."""


# ------------------------------------------------------------------------------------------------ generate


@app.command()
def generate(
    schema: Schema = None,
    regex: Regex = None,
    ebnf: Ebnf = None,
    lark: Lark = None,
    structural_tag: StructuralTag = None,
    start: Start = None,
    import_path: ImportPath = None,
    resource: Resource = None,
    model: Annotated[
        str | None, typer.Option(metavar="M", help="A folder or a name on the hub; default: the model in the box.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="P", help="What the text continues; default: from the schema's title.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="The token budget.")] = 256,
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, help="Sample with this seed; without one: greedy.")
    ] = None,
    speculate: Annotated[
        bool, typer.Option("--speculate", help="Draft tokens from the grammar and the text; the text is the same.")
    ] = False,
) -> None:
    """Generate one text inside a grammar, on stdout while it comes into being.

    The text is complete when the token budget is spent; one of --lark may be cut short. Exits with 1 if the budget is
    too small for any text, or the text was cut short, and with 2 if the grammar is malformed or something is missing.
    """
    grammar = _grammar(schema, regex, ebnf, lark, structural_tag, start, import_path, resource)
    hf = _hf()
    loaded, tokenizer = _load(hf, model)
    result = _generated(
        lambda: hf.generate(
            loaded,
            tokenizer,
            _default_prompt(schema) if prompt is None else prompt,
            grammar,
            max_new_tokens=max_new_tokens,
            seed=seed,
            do_sample=seed is not None,
            temperature=None if seed is None else _TEMPERATURE,
            streamer=_StdoutStream(hf.vocabulary_of(loaded, tokenizer)),
            speculate=speculate,
        )[0]
    )
    stats = result.stats
    typer.echo(
        f"{stats.tokens} tokens, {stats.forwards} forwards, {stats.masks} masks in {stats.mask_us:,.0f} us"
        f" ({stats.mask_us / max(1, stats.masks):,.0f} us each)",
        err=True,
    )
    if stats.drafts is not None:
        right = ", ".join(f"{n} {name}" for name, n in sorted(stats.drafts.by_source.items()))
        typer.echo(
            f"{stats.tokens / max(1, stats.forwards):.2f} tokens a forward; of {stats.drafts.drafted} drafted tokens "
            f"{stats.drafts.accepted} were right ({right or 'none'})",
            err=True,
        )
    if result.error is not None:
        _exit(_INCOMPLETE, f"the text could not be completed: {result.error}")
    if not result.complete:
        whose = f"the budget of {max_new_tokens} tokens was reached" if stats.tokens >= max_new_tokens else "it stopped"
        _exit(_INCOMPLETE, f"{whose} before the text was complete; --max-new-tokens gives it more")


class _StdoutStream:
    """A transformers streamer: the bytes of each token go to stdout when it is chosen, and a newline at the end."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        names = {token: name.encode() for name, token in vocabulary.special_tokens.items()}
        self._bytes = [text or names.get(token, b"") for token, text in enumerate(vocabulary.tokens)]
        for token in vocabulary.stop_token_ids:
            self._bytes[token] = b""
        self._is_prompt = True

    def put(self, ids: Any) -> None:
        """ids : a torch tensor; the first one is the prompt."""
        if not self._is_prompt:
            self._write(b"".join(self._bytes[token] for token in ids.flatten().tolist()))
        self._is_prompt = False

    def end(self) -> None:
        self._write(b"\n")

    @staticmethod
    def _write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _hf() -> Any:
    try:
        from bridle.integrations import hf
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "bridle":
            raise
        _exit(_UNUSABLE, f"generating needs torch and transformers ({error}): pip install 'bridle[hf]'")
    return hf


def _load(hf: Any, model: str | None) -> tuple[Any, Any]:
    """(model, tokenizer), without transformers' progress bars and advice."""
    import torch
    from transformers.utils import logging

    if model is None:
        torch.set_num_threads(1)  # a model this small only waits for a second one: on busy cores 15 times as long
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        return hf.load(model)
    except (OSError, ValueError) as error:
        _exit(_UNUSABLE, f"the model {model or 'in the box'} cannot be loaded: {error}")


def _generated(run: Any) -> Any:
    from .automata.errors import BridleError, GrammarError

    try:
        return run()
    except GrammarError as error:  # a special token that the vocabulary lacks
        _exit(_UNUSABLE, str(error))
    except BridleError as error:  # a budget that was met in the middle of the text
        _exit(_INCOMPLETE, f"the text could not be completed: {error}")


def _default_prompt(schema: Path | None) -> str:
    """A question of the kind that the model in the box was trained on; nothing where the answer is no JSON."""
    if schema is None:
        return ""
    import json

    value = json.loads(schema.read_bytes())
    title = value.get("title") if isinstance(value, dict) else None
    return f"Describe a {title.strip().lower() if isinstance(title, str) else 'record'} as JSON:\n"


# ------------------------------------------------------------------------------------------------ validate


@app.command()
def validate(
    texts: Annotated[list[Path], typer.Argument(metavar="TEXTFILE", help="Files to judge; - is stdin.")],
    schema: Schema = None,
    regex: Regex = None,
    ebnf: Ebnf = None,
    lark: Lark = None,
    structural_tag: StructuralTag = None,
    start: Start = None,
    import_path: ImportPath = None,
    resource: Resource = None,
    agent: Agent = None,
    tools: Tools = None,
    as_generated: Annotated[
        bool, typer.Option("--as-generated", help="Ask whether a constrained model could have written just this.")
    ] = False,
) -> None:
    """Say whether texts are inside a grammar, or are finished traces of an agent, and where the first fault of each is.

    JSON is read with its members in any order and with any white space, and names of special tokens as text, unless
    --as-generated; of other texts a final newline does not count where it is not allowed. Exits with 1 if a text is
    invalid, and with 2 if the grammar is malformed or a file is missing.
    """
    others = (schema, regex, ebnf, lark, structural_tag, start, import_path, resource)
    if agent is not None:
        if as_generated or any(given is not None for given in others):
            raise typer.BadParameter("--agent goes with --tools alone")
        spec = _agent(agent, tools)
        raise typer.Exit(max([_judge(path, lambda name, data: _trace_complaint(spec, name, data)) for path in texts]))
    if tools is not None:
        raise typer.BadParameter("--tools belongs to --agent")
    grammar = _grammar(*others)

    def complaint(name: str, data: bytes) -> str:
        verdict, data = _verdict(grammar, data, as_generated)
        return "" if verdict.ok else _complaint(grammar, name, data, verdict)

    raise typer.Exit(max([_judge(path, complaint) for path in texts]))


def _judge(path: Path, complaint: Callable[[str, bytes], str]) -> int:
    """Prints the verdict on one file, which is the complaint about its name and content; returns its exit code."""
    from .automata.errors import BridleError

    name = "<stdin>" if str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        found = complaint(name, data)
    except OSError as error:
        typer.echo(f"{name}: {error.strerror}", err=True)
        return _UNUSABLE
    except BridleError as error:
        typer.echo(f"{name}: {error}", err=True)
        return _UNUSABLE
    typer.echo(found or f"{name}: valid")
    return _INVALID if found else 0


def _trace_complaint(spec: AgentSpec, name: str, data: bytes) -> str:
    """What is wrong with a trace, with or without its final newline; "" if nothing is."""
    from .automata.errors import caret

    text = data.decode("utf-8", "surrogateescape")  # bytes that are no UTF-8 stand in no trace
    verdict = spec.validate(text)
    if not verdict.ok and text.endswith("\n"):
        bare = spec.validate(text.removesuffix("\n").removesuffix("\r"))
        verdict = bare if bare.ok or bare.offset >= verdict.offset else verdict
    if verdict.ok:
        return ""
    at = len(text.encode("utf-8", "surrogatepass")[: verdict.offset].decode("utf-8", "ignore"))
    expected = ", ".join(verdict.expected[:_EXPECTED_SHOWN]) or "nothing"
    more = ", …" if len(verdict.expected) > _EXPECTED_SHOWN else ""
    place = f"{name}:{verdict.line}:{verdict.column}: {verdict.reason} ({verdict.place})"
    shown = text.encode("utf-8", "replace").decode()
    return f"{place}\n{caret(shown, at)}\n    expected: {expected}{more}"


def _verdict(grammar: Grammar, data: bytes, as_generated: bool) -> tuple[Verdict, bytes]:
    """The better verdict on a file's content as it stands and without its final newline, and what it is about."""
    from .grammar.validation import validate as judged

    whole = judged(grammar, data, as_generated=as_generated)
    if whole.ok or grammar.is_json or not data.endswith(b"\n"):
        return whole, data
    cut = data[: -2 if data.endswith(b"\r\n") else -1]
    bare = judged(grammar, cut, as_generated=as_generated)
    return (bare, cut) if bare.ok or bare.offset >= whole.offset else (whole, data)


def _complaint(grammar: Grammar, name: str, data: bytes, verdict: Verdict) -> str:
    from .automata.errors import caret, line_and_column

    text = data.decode("utf-8", "replace")
    # A fault inside a character is a fault of that character: its first bytes do not count.
    at = len(data[: verdict.offset].decode("utf-8", "ignore"))
    line, column = line_and_column(text, at)
    fault = "the text ends too early" if verdict.offset == len(data) else "this may not stand here"
    place = f" (at {verdict.place or 'the root'})" if grammar.is_json else ""
    expected = ", ".join(verdict.expected[:_EXPECTED_SHOWN])
    more = ", …" if len(verdict.expected) > _EXPECTED_SHOWN else ""
    return f"{name}:{line}:{column}: {fault}{place}\n{caret(text, at)}\n    expected: {expected}{more}"


# ------------------------------------------------------------------------------------------------ compile


@app.command("compile")
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where it is kept.")],
    schema: Schema = None,
    regex: Regex = None,
    ebnf: Ebnf = None,
    lark: Lark = None,
    structural_tag: StructuralTag = None,
    start: Start = None,
    import_path: ImportPath = None,
    resource: Resource = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="A folder, a name on the hub, a tekken.json or a SentencePiece .model; default: the model in the box.",
        ),
    ] = None,
    precompute: Annotated[
        bool, typer.Option("--precompute", help="Reach all that tokens lead to, not the first 2,000 configurations.")
    ] = False,
    states: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --precompute: as many configurations at the most.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0, help="With --precompute: as long at the most.")
    ] = None,
) -> None:
    """Compile a grammar for a tokenizer ahead of time, into a file that `bridle.load` reads.

    Exits with 1 if a counted budget was met within the grammar, and with 2 if the grammar is malformed or something is
    missing.
    """
    if not precompute and not (states is None and seconds is None):
        raise typer.BadParameter("--states and --seconds belong to --precompute")
    grammar = _grammar(schema, regex, ebnf, lark, structural_tag, start, import_path, resource)
    vocabulary = _vocabulary(tokenizer)
    from .automata.compiled import compile_grammar
    from .automata.errors import GrammarError, SavedGrammarError
    from .automata.precompute import SAVED_STATES, STATES

    try:
        compiled = compile_grammar(grammar, vocabulary)
    except GrammarError as error:  # a special token that the vocabulary lacks
        _exit(_UNUSABLE, str(error))
    most = states or (STATES if precompute else SAVED_STATES)
    report = compiled.precompute(states=most, seconds=seconds, progress=_tell if sys.stderr.isatty() else None)
    try:
        compiled.save(output)
    except OSError as error:
        _exit(_UNUSABLE, f"{output}: {error.strerror}")
    except SavedGrammarError as error:
        _exit(_UNUSABLE, f"{output}: {error}")
    came_to = "all that tokens lead to" if report.complete else _STOPPED[report.stopped]
    typer.echo(
        f"{report.reached:,} configurations in {report.seconds:,.1f} s, {came_to}:"
        f" {output}, {output.stat().st_size / 1e6:,.1f} MB",
        err=True,
    )
    if report.error is not None:
        _exit(_INCOMPLETE, f"what lies behind is not there: {report.error}")


_STOPPED = {
    "states": "the first of more",
    "seconds": "the first of more",
    "memory": "as many as the memory holds",
    "texts": "all but those that hold a text of their own",
    "limit": "up to a limit",
}


def _tell(reached: int, waiting: int) -> None:
    """A line that is written over; the last one is erased by what the command says at the end."""
    line = f"\r{reached:,} configurations, {waiting:,} to follow"
    sys.stderr.write(f"{line:<60}" if waiting else f"\r{'':<60}\r")
    sys.stderr.flush()


@app.command()
def warmup(
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            metavar="T",
            help="Prepare this one, too: a model's folder, a name on the hub, or a tokenizer's own file.",
        ),
    ] = None,
) -> None:
    """Make now what is made once per machine: machine code, automata of formats, a tokenizer's tree.

    All of it goes into the cache folder ($BRIDLE_CACHE_DIR, else $XDG_CACHE_HOME/bridle, else ~/.cache/bridle), where
    every later process finds it. A container image that was warmed up starts as fast as any.
    """
    from .automata.bitmask_rows import allocate_token_bitmask
    from .automata.cache_dir import cache_folders
    from .automata.kernel import load_kernels
    from .automata.matcher import Matcher
    from .grammar.grammar import Grammar

    began = time.perf_counter()
    load_kernels(everything=True)
    from .automata.compiled import compile_grammar
    from .grammar.warming import keep_automata

    _say(f"kernels: {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    n = sum(1 for _ in keep_automata())
    _say(f"{n} automata of formats: {time.perf_counter() - began:.1f} s")
    if tokenizer is not None:
        began = time.perf_counter()
        vocabulary = _vocabulary(tokenizer)
        matcher = Matcher(compile_grammar(Grammar.from_json_schema(True), vocabulary))
        matcher.fill_next_token_bitmask(allocate_token_bitmask(1, vocabulary.size))
        _say(f"{vocabulary!r}: {time.perf_counter() - began:.1f} s to its first mask")
    _say(f"kept in {cache_folders()[0] if cache_folders() else 'no folder: none can be written to'}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _vocabulary(tokenizer: str | None) -> Vocabulary:
    """The vocabulary of a model's folder, a name on the hub, or a tokenizer's own file; as wide as the logits."""
    from .automata.errors import BridleError
    from .automata.vocabulary import Vocabulary

    path = Path(tokenizer or "")
    try:
        if tokenizer is not None and path.is_file():
            read = Vocabulary.from_tekken if path.suffix == ".json" else Vocabulary.from_sentencepiece
            return read(path)
        _hf()
        from transformers import AutoConfig, AutoTokenizer

        from .integrations.hf.loading import BOX

        source = tokenizer or BOX
        width = int(AutoConfig.from_pretrained(source).get_text_config(decoder=True).vocab_size)
        return Vocabulary.from_hf(AutoTokenizer.from_pretrained(source), size=width)
    except (OSError, ValueError, BridleError) as error:
        _exit(_UNUSABLE, f"the tokenizer {tokenizer or 'in the box'} cannot be read: {error}")


# ------------------------------------------------------------------------------------------------ agent


agents = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Specifications of agents.")
app.add_typer(agents, name="agent")


@agents.command("list")
def list_agents() -> None:
    """The specifications that come with the package."""
    from .agents import ready

    for name, description in ready().items():
        typer.echo(f"{name:<16}{description}")


@agents.command()
def show(
    agent: Annotated[str, typer.Argument(metavar="FILE", help="A specification, or the name of a ready one.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A drawing: .dot, or .svg where Graphviz is installed."),
    ] = None,
) -> None:
    """Show which states may follow which: as a table, or drawn into a file. Notes on formulas that say nothing and
    states that never come go to stderr.

    Exits with 2 if the specification is malformed or the drawing cannot be made.
    """
    from .automata.errors import BridleError
    from .grammar.automaton_drawing import draw, svg, table
    from .grammar.ltlf_lint import notes

    spec = _agent(agent, None, whole=False)
    for note in notes(spec.automaton):
        _say(note)
    if output is None:
        typer.echo(table(spec.automaton), nl=False)
        return
    drawn: str | None = draw(spec.automaton)
    if output.suffix == ".svg":
        try:
            drawn = svg(drawn or "")
        except BridleError as error:
            _exit(_UNUSABLE, f"{output}: {error}")
        if drawn is None:
            _exit(_UNUSABLE, f"{output}: an SVG needs Graphviz's `dot`, which is not installed; a .dot file does not")
    try:
        output.write_text(drawn or "", encoding="utf-8")
    except OSError as error:
        _exit(_UNUSABLE, f"{output}: {error.strerror}")


def _agent(source: str, tools: Path | None, *, whole: bool = True) -> AgentSpec:
    """A specification from a file, YAML or s-expressions, or a ready one by its name.

    whole : it is to be written by, or judged: what needs tools has them.
    """
    from .automata.errors import BridleError
    from .grammar.agent_spec import AgentSpec

    place = source
    try:
        if Path(source).suffix in (".lisp", ".scm", ".sexp"):
            spec = AgentSpec.from_lisp(Path(source).read_text(encoding="utf-8"))
        else:
            spec = AgentSpec.from_yaml(Path(source)) if Path(source).is_file() else AgentSpec.ready(source)
        if tools is not None:
            import json

            place = str(tools)
            spec = spec.with_tools(json.loads(tools.read_text(encoding="utf-8")))
        _ = spec.plan if whole else spec.automaton
        return spec
    except OSError as error:
        _exit(_UNUSABLE, f"{place}: {error.strerror}")
    except UnicodeDecodeError as error:
        _exit(_UNUSABLE, f"{place}: not UTF-8: {error.reason} at byte {error.start}")
    except (BridleError, ValueError) as error:
        _exit(_UNUSABLE, f"{place}: {error}")


# ------------------------------------------------------------------------------------------------ all


def _grammar(
    schema: Path | None,
    regex: str | None,
    ebnf: Path | None,
    lark: Path | None,
    structural_tag: Path | None,
    start: str | None,
    import_paths: list[Path] | None,
    resources: list[str] | None,
) -> Grammar:
    """The grammar of the one option that was given."""
    if sum(given is not None for given in (schema, regex, ebnf, lark, structural_tag)) != 1:
        raise typer.BadParameter(
            "give exactly one of --schema FILE, --regex R, --ebnf FILE, --lark FILE and --structural-tag FILE"
        )
    if resources and schema is None:
        raise typer.BadParameter("--resource belongs to --schema")
    if start is not None and ebnf is None and lark is None:
        raise typer.BadParameter("--start belongs to --ebnf or --lark")
    if import_paths and lark is None:
        raise typer.BadParameter("--import-path belongs to --lark")
    from .automata.errors import BridleError
    from .grammar.grammar import Grammar

    path = next((path for path in (schema, ebnf, lark, structural_tag) if path is not None), None)
    given = {}
    for resource in resources or ():
        uri, mark, file = resource.rpartition("=")
        if not mark or not uri:
            raise typer.BadParameter(f"--resource is URI=FILE, not {resource!r}")
        try:
            given[uri] = Path(file).read_bytes()
        except OSError as error:
            _exit(_UNUSABLE, f"{file}: {error.strerror}")
    try:
        if regex is not None:
            return Grammar.from_regex(regex)
        assert path is not None
        content = path.read_bytes()
        if structural_tag is not None:
            return Grammar.from_structural_tag(content)
        if lark is not None:
            begin = "start" if start is None else start
            return Grammar.from_lark(content.decode(), start=begin, import_paths=import_paths or ())
        if ebnf is not None:
            return Grammar.from_ebnf(content.decode(), start="root" if start is None else start)
        return Grammar.from_json_schema(content, resources=given)
    except OSError as error:
        _exit(_UNUSABLE, f"{path}: {error.strerror}")
    except UnicodeDecodeError as error:
        _exit(_UNUSABLE, f"{path}: not UTF-8: {error.reason} at byte {error.start}")
    except BridleError as error:
        _exit(_UNUSABLE, f"{'--regex' if path is None else path}: {error}")
    except ValueError as error:  # a --resource whose URI is none
        raise typer.BadParameter(str(error)) from None


def _exit(code: int, message: str) -> NoReturn:
    typer.echo(f"bridle: {message}", err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
