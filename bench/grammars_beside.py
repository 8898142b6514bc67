"""Grammars of JSON, XML, SQL and C side by side with llguidance and XGrammar: what masks cost along the same texts.

    python bench/grammars_beside.py --tokens llama3.tiktoken
    python bench/grammars_beside.py --language sql --engine "bridle, Lark" --json times.json

Each language is written in two ways, as users of the engines write it, under examples/grammars: in Lark's notation, for
bridle and llguidance, with terminals that a lexer tells apart, and in GBNF, for bridle and XGrammar, character by
character, as llama.cpp's examples and the XGrammar paper have it (https://arxiv.org/abs/2411.15100, section 4). The two
agree on the texts of bench/grammar_texts, and differ beside them: a lexer knows `intx` for a name, characters do not,
and llguidance ignores nothing before the first token and after the last. Loops over characters are written as stars of
classes (`[^"]* (escape [^"]*)*`), since XGrammar takes 30 ms for a mask in a star of alternatives.

A language runs in a process of its own, one thread; after each text the next engine takes its turn, so whatever else
the machine does meets all of them. "First mask" is reading the grammar, compiling it and the first mask; a step is to
fill a mask and to accept a token. The first pass is the first time that anything is decoded with the grammar, the
second the same texts again with the same compiled grammar. Before the clock starts each engine compiles and runs a
small grammar. Times are CPU time of the thread. A text that an engine does not accept to its end is told and left out
of all rows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from engines import Bridle, LLGuidance, Tokens, XGrammar, allowed, installed, llama3, tekken
from maskbench import ratio, table

ROOT = Path(__file__).resolve().parents[1]
GRAMMARS = ROOT / "examples" / "grammars"
TEXTS = Path(__file__).parent / "grammar_texts"
LANGUAGES = ("json", "xml", "sql", "c")
PASSES = ("first", "second")


class BridleLark(Bridle):
    suffix, warm_up = "lark", 'start: (A | B)+\nA: /[a-z]+/\nB: "if"\n%ignore " "'

    def compile(self, text: str) -> Any:
        return self.library.compile(self.library.Grammar.from_lark(text), self.vocabulary)


class BridleEbnf(Bridle):
    suffix, warm_up = "gbnf", 'root ::= ([a-z] | " ")+'

    def compile(self, text: str) -> Any:
        return self.library.compile(self.library.Grammar.from_ebnf(text), self.vocabulary)


class LLGuidanceLark(LLGuidance):
    suffix, warm_up = "lark", BridleLark.warm_up

    def compile(self, text: str) -> Any:
        matcher = self.library.LLMatcher(self.tokenizer, self.library.LLMatcher.grammar_from_lark(text), log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher


class XGrammarEbnf(XGrammar):
    suffix, warm_up = "gbnf", BridleEbnf.warm_up

    def compile(self, text: str) -> Any:
        return self.compiler.compile_grammar(self.library.Grammar.from_ebnf(text))


ENGINES: dict[str, Any] = {
    "llguidance, Lark": LLGuidanceLark, "XGrammar, GBNF": XGrammarEbnf,
    "bridle, Lark": BridleLark, "bridle, GBNF": BridleEbnf,
}  # fmt: skip


def texts_of(language: str) -> list[str]:
    return json.loads((TEXTS / f"{language}.json").read_text("utf-8"))


# ------------------------------------------------------------------------------------------------ measuring


def along(engine: Any, grammar: Any, tokens: list[int], stop: int) -> tuple[list[float], str]:
    """The times of a text's steps in us, and what is wrong; empty if it is accepted, to the stop token."""
    clock, times = time.thread_time, []
    engine.begin(grammar)
    for i, token in enumerate(tokens):
        start = clock()
        try:
            engine.fill()
            accepted = engine.accept(token)
        except Exception as error:
            return times, f"token {i} of {len(tokens)}: {type(error).__name__}: {error}"[:200]
        times.append((clock() - start) * 1e6)
        if accepted != allowed(engine.mask, token):
            return times, f"token {i} of {len(tokens)}: the mask disagrees"
        if not accepted:
            return times, f"token {i} of {len(tokens)} is refused"
    engine.fill()
    return times, "" if allowed(engine.mask, stop) else "it may not end"


def run_language(language: str, names: list[str], tokens_file: str | None) -> dict[str, Any]:
    """By engine: `first` us, and of each pass the times of each text; `faults` by engine and text."""
    tokens: Tokens = tekken() if tokens_file is None else llama3(tokens_file)
    texts = [tokens.cut(text) for text in texts_of(language)]
    out: dict[str, Any] = {"faults": [], "engines": {}}
    running = {}
    for name in names:
        engine = ENGINES[name](tokens)
        along(engine, engine.compile(engine.warm_up), tokens.cut("if ab"), tokens.stop)
        text = (GRAMMARS / f"{language}.{engine.suffix}").read_text("utf-8")
        start = time.thread_time()
        grammar = engine.compile(text)
        engine.begin(grammar)
        engine.fill()
        out["engines"][name] = {"mask": (time.thread_time() - start) * 1e6, "first": [], "second": []}
        running[name] = engine, grammar
    for pass_ in PASSES:
        for i, ids in enumerate(texts):
            for name, (engine, grammar) in running.items():
                times, fault = along(engine, grammar, ids, tokens.stop)
                out["engines"][name][pass_].append(times)
                if fault:
                    out["faults"].append((name, i, fault))
    return out


# ------------------------------------------------------------------------------------------------ tables


def figures(times: list[list[float]], kept: list[int]) -> list[float]:
    values = np.array([x for i in kept for x in times[i]])
    return [float(values.mean()), *np.percentile(values, (50, 99)).tolist(), float(values.max())]


def report(language: str, found: dict[str, Any]) -> str:
    """Both passes of one language, each with bridle's ratio to the better of the others."""
    bad = {i for _, i, _ in found["faults"]}
    kept = [i for i in range(len(texts_of(language))) if i not in bad]
    faults = dict.fromkeys(found["faults"])  # of both passes
    lines = [f"- {name} on {texts_of(language)[i][:60]!r}: {fault}" for name, i, fault in faults]
    if not kept:
        return "\n".join([f"{language}: no text is accepted by all", *lines, ""])
    rows, best = [], []
    for name, engine in found["engines"].items():
        values = [engine["mask"] / 1e3, *(x for pass_ in PASSES for x in figures(engine[pass_], kept))]
        peers = np.array(best) if best else np.empty((0, len(values)))
        if name.startswith("bridle"):
            cells = [f"{x:,.1f}" + (f" ({ratio(x, base)})" if len(peers) else "") for x, base in zip(
                values, peers.min(axis=0) if len(peers) else values, strict=True)]  # fmt: skip
        else:
            best.append(values)
            cells = [f"{x:,.1f}" for x in values]
        rows.append([name, *cells])
    masks = sum(len(next(iter(found["engines"].values()))["first"][i]) for i in kept)
    head = ["engine", "first mask, ms", "mean, us", "p50", "p99", "max", "again: mean", "p50", "p99", "max"]
    title = f"{language}, {len(kept)} texts, {masks:,} masks (in brackets the ratio to the better of the others)"
    return "\n".join([title, "", table(head, rows), *lines])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", action="append", choices=LANGUAGES)
    parser.add_argument("--engine", action="append", choices=list(ENGINES), help="all installed ones unless named")
    parser.add_argument("--tokens", help="Llama-3's tiktoken file instead of Tekken")
    parser.add_argument("--json", help="where to write every time")
    options = parser.parse_args(arguments)
    names = options.engine or [name for name in ENGINES if name.split(",")[0].lower() in installed()]
    results = {}
    for language in options.language or LANGUAGES:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            results[language] = pool.submit(run_language, language, names, options.tokens).result()
        print(report(language, results[language]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
