"""Hashes of every mask of the benchmark's corpus, made by the slow way that has no walk, record or memo.

    python bench/mask_hashes.py             # replays the corpus in the ordinary mode and lists what differs
    python bench/mask_hashes.py --write     # makes the file anew, with reference masks: a minute

For each schema and instance of the corpus, one hash for each position: before every token of the instance, and after
the last. An instance that is rejected ends with the mask that forbids its next token. A hash is 32 bits of blake2b over
the row of the bitmask. Positions in the same configuration (the same state of the matcher in the same machine) have one
mask, whose reference is made once.

The file `mask_hashes.json.gz` names its vocabulary by a digest: Mistral's Tekken, as mistral-common ships it. It
changes when the corpus or the language of a schema does, and must not when the engine becomes faster.
Tested by test_mask_hashes.py.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import bridle

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Row, corpus, text_of
from engines import Tokens, allowed, tekken

FILE = Path(__file__).with_name("mask_hashes.json.gz")
DIGITS = 8

Hashes = dict[str, list[str]]
Fill = Callable[[bridle.Matcher, np.ndarray], Any]


class Difference(NamedTuple):
    """A mask that is not what the file says: where, and what was asked."""

    id: str
    instance: int
    position: int
    text: str


def reference(matcher: bridle.Matcher, bitmask: np.ndarray) -> None:
    matcher.fill_reference_bitmask(bitmask)


def ordinary(matcher: bridle.Matcher, bitmask: np.ndarray) -> None:
    matcher.fill_next_token_bitmask(bitmask)


def digest_of(tokens: Tokens) -> str:
    """Names a vocabulary: the lengths and bytes of its tokens, and its end."""
    hashed = hashlib.blake2b(repr((len(tokens.tokens), tokens.stop)).encode(), digest_size=16)
    for token in tokens.tokens:
        hashed.update(len(token).to_bytes(2, "little") + token)
    return hashed.hexdigest()


def hashes_of(row: Row, tokens: Tokens, vocabulary: bridle.Vocabulary, fill: Fill) -> list[str]:
    """One string of hashes for each instance, `DIGITS` hexadecimal digits a position."""
    compiled = bridle.compile(bridle.Grammar.from_json_schema(row["schema"]), vocabulary)
    bitmask = bridle.allocate_token_bitmask(1, vocabulary.size)
    known: dict[Any, str] = {}
    return ["".join(along(bridle.Matcher(compiled), tokens.cut(text_of(test)), bitmask, fill, known))
            for test in row["tests"]]  # fmt: skip


def along(
    matcher: bridle.Matcher, ids: list[int], bitmask: np.ndarray, fill: Fill, known: dict[Any, str]
) -> Iterator[str]:
    """The hash of the mask before each token, up to the first that is not allowed, and at the end.

    known : hashes of reference masks by configuration, in and out; an ordinary mask is asked for every time
    """
    for token in [*ids, None]:
        where = (matcher._machine, matcher._ref)
        if fill is not reference or where not in known:
            fill(matcher, bitmask)
            known[where] = hashlib.blake2b(bitmask.tobytes(), digest_size=DIGITS // 2).hexdigest()
        yield known[where]
        if token is None or not matcher.accept_token(token):
            return


def differences(rows: list[Row], recorded: Hashes, tokens: Tokens, fill: Fill = ordinary) -> Iterator[Difference]:
    """Replays rows: the first mask of each instance that is not what was recorded, or is there in one of both alone."""
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
    for row in rows:
        found = hashes_of(row, tokens, vocabulary, fill)
        for i, (now, then) in enumerate(zip_longest(found, recorded.get(row["id"], []), fillvalue="")):
            if now != then:
                at = next((k for k, pair in enumerate(zip(now, then)) if pair[0] != pair[1]), min(len(now), len(then)))
                at //= DIGITS
                ids = tokens.cut(text_of(row["tests"][i]))
                yield Difference(row["id"], i, at, tokens.encoding.decode(ids[:at]))


def difference_of_modes(row: Row, difference: Difference, tokens: Tokens) -> tuple[list[bytes], list[bytes]]:
    """Tokens that the ordinary mask allows and the reference does not, and the other way round."""
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_json_schema(row["schema"]), vocabulary))
    bitmask = bridle.allocate_token_bitmask(2, vocabulary.size)
    for token in tokens.cut(text_of(row["tests"][difference.instance]))[: difference.position]:
        matcher.accept_token(token)
    matcher.fill_next_token_bitmask(bitmask, 0)
    matcher.fill_reference_bitmask(bitmask, 1)
    some = [k for k in range(vocabulary.size) if allowed(bitmask[:1], k) != allowed(bitmask[1:], k)]
    many = [tokens.tokens[k] for k in some if allowed(bitmask[:1], k)]
    return many, [tokens.tokens[k] for k in some if allowed(bitmask[1:], k)]


# ------------------------------------------------------------------------------------------------ the file


def read(path: Path = FILE) -> tuple[str, Hashes]:
    """(digest of the vocabulary, hashes by id)."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    return content["vocabulary"], content["hashes"]


def write(rows: list[Row], tokens: Tokens, path: Path = FILE) -> None:
    """Makes the file anew, with reference masks."""
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
    hashes: Hashes = {}
    for row in rows:
        start = time.perf_counter()
        hashes[row["id"]] = hashes_of(row, tokens, vocabulary, reference)
        n = sum(map(len, hashes[row["id"]])) // DIGITS
        print(f"{row['id']}: {n} masks, {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    content = json.dumps({"vocabulary": digest_of(tokens), "hashes": hashes}, indent=0).encode()
    path.write_bytes(gzip.compress(content, mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make the file anew, with reference masks")
    options = parser.parse_args()
    tokens, rows = tekken(), corpus()
    if options.write:
        write(rows, tokens)
        return
    digest, recorded = read()
    if digest != digest_of(tokens):
        raise SystemExit(f"{FILE.name} was made with another vocabulary")
    by_id = {row["id"]: row for row in rows}
    found = list(differences(rows, recorded, tokens))
    for difference in found:
        many, few = difference_of_modes(by_id[difference.id], difference, tokens)
        print(f"{difference}: {len(many)} tokens more than the reference {many[:8]}, {len(few)} fewer {few[:8]}")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
