"""What choices and spans cost: building, memory, and masks, for a million names and a document of a megabyte.

    python bench/choices.py                                  # building alone
    python bench/choices.py --vocab llama3.tiktoken          # and masks, with Llama-3's 128,256 tokens
    python bench/choices.py --names 100000 --size 100000     # smaller

Names and documents are made here from a seed: names of one to three words of syllables, a document of such words with
the frequencies of a language (Zipf), and one whose letters are Chinese. Each row is measured in a process of its own.
`seconds` is the processor's time to make the grammar; `peak` what the process takes more meanwhile, `kept` what the
automaton holds. The facts are paths of a name, a relation and what it leads to; their first mask makes the names'
automaton, and without their depth it also asks for what follows each name. Masks in us: `first` is that of the empty
text; `new` along texts that no text came near before, each cut into tokens as the model's users do; `again` along the
same texts once more.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import re
import resource
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import bridle
from bridle.automata.kernel import load_kernels
from bridle.automata.sparse_dfa import SparseDfa
from engines import Tokens, llama3

# fmt: off
SYLLABLES = [
    "ka", "lo", "mi", "ren", "sto", "vel", "dor", "an", "ber", "tis", "gra", "no", "qui", "sel", "tor", "ham", "ley",
    "win", "ster", "field", "mar", "jo", "hen", "ri", "al", "ex", "va", "len", "ti", "na", "chris", "pe", "ter", "ro",
    "sa", "lin", "da", "go", "mez", "o", "ku", "shi", "ma", "yu", "ki", "wa", "ta", "be", "ab", "dul", "rah", "man",
    "fa", "gar", "cia", "pez", "é", "ö", "ñ",
]
# fmt: on
SIGNS = [" "] * 80 + [", "] * 9 + [". "] * 7 + [".\n", ".\n\n", "; ", " – "]
RELATIONS = ["born in", "knows", "member of", "works for", "author of", "located in", "part of", "instance of"]
WALKED = 500  # texts along which masks are measured

Row = dict[str, Any]


def names(n: int, seed: int = 1) -> list[str]:
    """Different names, in no order."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        words = ("".join(rng.choices(SYLLABLES, k=rng.randrange(2, 5))) for _ in range(rng.choice((1, 2, 2, 3))))
        found[" ".join(map(str.capitalize, words))] = None
    return list(found)


def document(size: int, seed: int = 2) -> str:
    """A text of so many characters with words as frequent as in a language."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.choice((1, 1, 2, 2, 3, 4)))) for _ in range(30_000)]
    picked = rng.choices(words, [1 / (i + 2) for i in range(len(words))], k=size // 3)
    return "".join(word + rng.choice(SIGNS) for word in picked)[:size]


def chinese(size: int, seed: int = 3) -> str:
    """As `document`, of Chinese characters; size in bytes."""
    rng = random.Random(seed)
    words = [
        "".join(chr(0x4E00 + int(rng.paretovariate(0.7)) % 6000) for _ in range(rng.randrange(1, 4)))
        for _ in range(9000)
    ]
    picked = rng.choices(words, [1 / (i + 2) for i in range(len(words))], k=size // 3)
    text = "".join(word + ("，" if rng.random() < 0.1 else "") for word in picked)
    return text[: size // 3]


def follow(path: tuple[str, ...]) -> list[str] | None:
    """What `then` says: relations that the entity has, what they lead to, the end; the same each time."""
    if len(path) == 3:
        return None
    number = zlib.crc32(path[0].encode())
    if len(path) == 1:
        return RELATIONS[number % 5 :]
    return [f"{path[1]} {(number + i) % 99}" for i in range(3)]


# ------------------------------------------------------------------------------------------------ measuring


def peak_bytes() -> int:
    """The most memory that the process took, since `forget_peak` where the system can do that."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> int:
    """Begins to measure the peak anew; what the process takes now."""
    gc.collect()
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def measure(kind: str, options: Row) -> Row:
    """One row. Runs in a process of its own."""
    load_kernels()
    make, texts = prepared(kind, options)
    bridle.Grammar.from_choices(["warm-up"])
    bridle.Grammar.from_substring("warm-up")
    before, start = forget_peak(), time.thread_time()
    grammar = make()
    out: Row = {"kind": kind, "seconds": time.thread_time() - start, "peak": (peak_bytes() - before) / 1e6}
    automaton = getattr(grammar.root, "automaton", None)
    if isinstance(automaton, SparseDfa):
        out |= {"states": automaton.n_states, "kept": automaton.nbytes / 1e6}
    if options["vocab"]:
        out |= masks(grammar, texts, llama3(options["vocab"]))
    return out


def prepared(kind: str, options: Row) -> tuple[Any, list[str]]:
    """What makes the grammar of a row, and texts of it."""
    rng = random.Random(4)
    if kind.startswith("spans"):
        _, by, language = kind.split()
        text = chinese(options["size"]) if language == "Chinese" else document(options["size"])
        pieces = text.split("\n") if by == "line" else re.findall(r"\w+(?:\W+\w+){4,30}", text) or [text]
        if by == "char":
            pieces = [text[i : i + 80] for i in range(0, len(text) - 80, 80)]
        picked = [piece for piece in rng.sample(pieces, min(WALKED, len(pieces))) if piece]
        return lambda: bridle.Grammar.from_substring(text, by=by), picked  # type: ignore[arg-type]
    choices = names(options["names"])
    picked = rng.sample(choices, min(WALKED, len(choices)))
    if kind == "names":
        return lambda: bridle.Grammar.from_choices(choices), picked
    along = []
    for name in picked:
        relation = rng.choice(follow((name,)) or [])
        along.append(" | ".join((name, relation, rng.choice(follow((name, relation)) or []))))
    depth = 3 if kind == "facts of depth 3" else None
    return lambda: bridle.Grammar.from_choices(choices, then=follow, depth=depth, separator=" | "), along


def masks(grammar: bridle.Grammar, texts: list[str], tokens: Tokens) -> Row:
    """Times of masks, in us."""
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=tokens.stop)
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    bitmask = bridle.allocate_token_bitmask(1, vocabulary.size)
    start = time.thread_time()
    matcher.fill_next_token_bitmask(bitmask)
    out: Row = {"first": 1e6 * (time.thread_time() - start)}
    cut = [tokens.cut(text) for text in texts]
    for name in ("new", "again"):
        times = []
        for ids in cut:
            matcher.reset()
            for token in ids:
                start = time.perf_counter()
                matcher.fill_next_token_bitmask(bitmask)
                times.append(1e6 * (time.perf_counter() - start))
                if not matcher.accept_token(token):
                    raise SystemExit(f"{matcher.text()!r} may not go on with {tokens.tokens[token]!r}")
            if not matcher.is_accepting():
                raise SystemExit(f"{matcher.text()!r} is no sentence")
        out |= {name: float(np.median(times)), f"{name} 99%": float(np.percentile(times, 99))}
    return out


COLUMNS = {
    "kind": "", "seconds": ".2f", "peak": ".0f", "kept": ".0f", "states": ",", "first": ",.0f", "new": ".1f",
    "new 99%": ".0f", "again": ".2f", "again 99%": ".2f",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=1_000_000, help="bytes of a document, about")
    parser.add_argument("--vocab", help="a tiktoken file: Llama-3's tokens")
    parser.add_argument("--only", help="a pattern of the rows' names")
    options = vars(parser.parse_args())
    kinds = ["names", "facts of depth 3", "facts", "spans char English", "spans word English", "spans line English",
             "spans char Chinese"]  # fmt: skip
    shown = [name for name in COLUMNS if options["vocab"] or name in ("kind", "seconds", "peak", "kept", "states")]
    units = {"peak": "peak MB", "kept": "kept MB"}
    print("| " + " | ".join(units.get(name, name) for name in shown) + " |")
    print("|---" * len(shown) + "|")
    for kind in kinds:
        if options["only"] and not re.search(options["only"], kind):
            continue
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            row = pool.submit(measure, kind, options).result()
        cells = [format(row[name], COLUMNS[name]) if name in row else "" for name in shown]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
