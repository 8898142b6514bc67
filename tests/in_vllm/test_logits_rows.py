"""Rows of the logits processor in both of vLLM's runners, without an engine, against models that keep nothing: which
request's text a row goes on, and what of it comes next, is found anew at every step.

V2 is simulated with its own classes and stand-ins of its buffers; V1 with its own `BatchUpdate`.
"""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("vllm.v1", reason="vLLM is not installed: make test-vllm")

import numpy as np
import torch
from transformers import AutoTokenizer
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import _load_logitsprocs_by_fqcns
from vllm.v1.sample.logits_processor.interface import BatchUpdate, MoveDirectionality
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_by_fqcns

import bridle
from bridle.automata.bitmask_rows import tokens_in
from bridle.integrations.hf.loading import BOX
from bridle.integrations.vllm.budgeted_text import BudgetedText
from bridle.integrations.vllm.logits_processor import BridleLogitsProcessor
from bridle.integrations.vllm.logits_rows import BatchRows, SlotRows
from bridle.integrations.vllm.request_matchers import RequestMatchers
from bridle.integrations.vllm.request_texts import RequestText, text_of
from bridle.integrations.vllm.row_masks import RowMasks
from bridle.sampler.device_masks import mask_table
from bridle.sampler.heat import heat_rows

NAME = "bridle.integrations.vllm.logits_processor:BridleLogitsProcessor"
LENGTH = 200  # of the model's context
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
WARM = (
    "root ::= [a-z ]{2,9} cold [a-z ]{2,9} hot\ncold[temperature=0.2] ::= [0-9]{1,6}\nhot[temperature=3] ::= [0-9]{4}"
)
FROZEN = 'root ::= "a" best [a-z]{1,5}\nbest[temperature=0] ::= [0-9]{4}'
ASKED: list[dict[str, Any] | None] = [
    None,
    {"json": SCHEMA},
    {"regex": "(the|a) [a-z]{2,20}( [0-9]+)*"},
    {"choice": ["red", "green", "greenish blue"]},
    {"grammar": WARM},
    {"grammar": FROZEN},
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(BOX)


@pytest.fixture(scope="module")
def matchers(tokenizer: Any) -> RequestMatchers:
    return RequestMatchers(config_of(tokenizer), tokenizer, len(tokenizer) + 3)


def config_of(tokenizer: Any) -> Any:
    """What is read of a VllmConfig."""
    model = SimpleNamespace(
        max_model_len=LENGTH, try_get_generation_config=lambda: {"eos_token_id": tokenizer.eos_token_id}
    )
    return SimpleNamespace(model_config=model, structured_outputs_config=SimpleNamespace(disable_any_whitespace=False))


def params_of(asked: dict[str, Any] | None, tokenizer: Any, **more: Any) -> SamplingParams:
    extra = None if asked is None else {"bridle": {"logits": asked}}
    params = SamplingParams(extra_args=extra, **{"max_tokens": 60, **more})
    params._all_stop_token_ids = {tokenizer.eos_token_id, *(params.stop_token_ids or ())}
    return params


# ---------------------------------------------------------------------------------------------- what rows should be


def grammar_of(asked: dict[str, Any]) -> bridle.Grammar:
    ((kind, value),) = asked.items()
    if kind == "grammar":
        return bridle.Grammar.from_ebnf(value)
    readers = {
        "json": bridle.Grammar.from_json_schema,
        "regex": bridle.Grammar.from_regex,
        "choice": bridle.Grammar.from_choices,
    }
    return readers[kind](value)


class Naive:
    """A request that knows its tokens alone."""

    def __init__(self, asked: dict[str, Any] | None, params: SamplingParams, prompt: int, tokenizer: Any) -> None:
        self.asked, self.params, self.prompt = asked, params, prompt
        self.output: list[int] = []
        self.size = len(tokenizer) + 3
        if asked is not None:
            vocabulary = bridle.Vocabulary.from_hf(
                tokenizer, size=self.size, stop_token_ids=sorted(params._all_stop_token_ids)
            )
            self.compiled = bridle.compile(grammar_of(asked), vocabulary)

    def next(self, logits: torch.Tensor, drafts: list[int]) -> torch.Tensor | None:
        """The row behind its tokens and some drafts; None if they are no text of its."""
        if self.asked is None:
            return logits
        try:
            matcher = bridle.Matcher(self.compiled, max_tokens=min(self.params.max_tokens, LENGTH - self.prompt))
        except bridle.LimitError:
            matcher = bridle.Matcher(self.compiled)
        for token in [*self.output, *drafts]:
            if not matcher.accept_token(token) and not matcher.is_terminated():
                return None
        bitmask = bridle.allocate_token_bitmask(1, self.size)
        matcher.fill_next_token_bitmask(bitmask)
        row = torch.full_like(logits, -torch.inf)
        allowed = tokens_in(bitmask[0])
        row[allowed] = logits[allowed]
        wanted = matcher.temperature()
        if wanted == 0 and self.params.temperature:
            best = row.argmax()
            row = torch.full_like(row, -torch.inf)
            row[best] = logits[best]
        elif wanted and self.params.temperature:
            row = row * (self.params.temperature / wanted)
        return row


def drawn(row: torch.Tensor, rng: random.Random) -> int:
    allowed = torch.nonzero(row > -torch.inf).flatten().tolist()
    return rng.choice(allowed)


def new_request(rng: random.Random, tokenizer: Any) -> Naive:
    asked = rng.choice(ASKED)
    stops = rng.choice([[], [], [int(tokenizer.convert_tokens_to_ids("<|pad|>"))]])
    params = params_of(
        asked, tokenizer, max_tokens=rng.choice([2, 12, 60]), temperature=rng.choice([0.0, 0.7, 1.0]),
        stop_token_ids=stops,
    )  # fmt: skip
    return Naive(asked, params, rng.choice([0, 3, LENGTH - 20]), tokenizer)


# ---------------------------------------------------------------------------------------------- V1


class NaiveBatch:
    """The batch of V1's runner: requests by index, and the update that tells what changed."""

    def __init__(self, rng: random.Random, tokenizer: Any, most: int) -> None:
        self.rng, self.tokenizer, self.most = rng, tokenizer, most
        self.rows: list[Naive | None] = []
        self.waiting: list[Naive] = []  # taken out for a while, with their tokens

    def change(self) -> BatchUpdate | None:
        """Requests go, come and move, as vLLM's InputBatch has them do."""
        rng, gone = self.rng, []
        for i, request in enumerate(self.rows):
            chance = rng.random()
            if chance < 0.15 or len(request.output) > 70:
                gone.append(i)
                if chance < 0.05:
                    self.waiting.append(request)
                self.rows[i] = None
        empty, added = sorted(gone), []
        for _ in range(rng.choice([0, 0, 1, 3])):
            if len(self.rows) - len(empty) == self.most:
                break
            request = self.waiting.pop() if self.waiting and rng.random() < 0.7 else new_request(rng, self.tokenizer)
            index = empty.pop(0) if empty else len(self.rows)
            self.rows[index : index + 1] = [request]
            added.append((index, request.params, [0] * request.prompt, request.output))
        # vLLM leaves indices that are taken again out of `removed`; its contract says that they may be there, too
        removed = list(gone) if rng.random() < 0.5 else list(empty)
        moved = self.condense(empty)
        for _ in range(rng.choice([0, 0, 1, 2])):
            if len(self.rows) > 1:
                i, j = rng.sample(range(len(self.rows)), 2)
                self.rows[i], self.rows[j] = self.rows[j], self.rows[i]
                moved.append((i, j, MoveDirectionality.SWAP))
        if not (removed or added or moved):
            return None
        return BatchUpdate(len(self.rows), removed, added, moved)

    def condense(self, empty: list[int]) -> list[tuple[int, int, MoveDirectionality]]:
        moved = []
        while self.rows and None in self.rows:
            last = self.rows.pop()
            if last is not None:
                index = self.rows.index(None)
                self.rows[index] = last
                moved.append((len(self.rows), index, MoveDirectionality.UNIDIRECTIONAL))
        return moved


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_rows_of_a_batch_are_those_of_requests_that_know_their_tokens_alone(
    seed: int, resident: bool, matchers: RequestMatchers, tokenizer: Any
) -> None:
    rng, batch = random.Random(seed), NaiveBatch(random.Random(seed + 100), tokenizer, 9)
    rows = BatchRows(matchers)
    rows._masks = RowMasks(matchers.size, resident=resident)
    for _ in range(60):
        update = batch.change()
        for request in batch.rows:
            if request.output and rng.random() < 0.03:  # as where vLLM has lost what it had computed
                del request.output[rng.randrange(len(request.output)) :]
        rows.update(update)
        logits = torch.randn(len(batch.rows), matchers.size)
        before = logits.clone()
        rows.apply(logits)
        for i, request in enumerate(batch.rows):
            expected = request.next(before[i], [])
            assert torch.equal(logits[i], expected), (request.asked, request.output)
            request.output.append(drawn(expected, rng))


def test_a_request_without_a_grammar_that_takes_an_index_over_is_not_touched(
    matchers: RequestMatchers, tokenizer: Any
) -> None:
    rows = BatchRows(matchers)
    with_grammar, without = params_of({"regex": "a"}, tokenizer), params_of(None, tokenizer)
    rows.update(BatchUpdate(1, [], [(0, with_grammar, [1], [])], []))
    rows.update(BatchUpdate(1, [], [(0, without, [1], [])], []))
    logits = torch.zeros(1, matchers.size)
    rows.apply(logits)
    assert not logits.any()


def test_a_move_onto_a_row_with_a_grammar_ends_it(matchers: RequestMatchers, tokenizer: Any) -> None:
    rows = BatchRows(matchers)
    added = [(1, params_of({"regex": "a"}, tokenizer), [1], []), (2, params_of(None, tokenizer), [1], [])]
    rows.update(BatchUpdate(3, [], added, []))
    rows.update(BatchUpdate(2, [], [], [(2, 1, MoveDirectionality.UNIDIRECTIONAL)]))
    logits = torch.zeros(2, matchers.size)
    rows.apply(logits)
    assert not logits.any()


# ---------------------------------------------------------------------------------------------- V2


class NaiveSlots:
    """The states of V2's runner: what it keeps on the device of each slot, with its names."""

    def __init__(self, size: int, n: int) -> None:
        self.requests: dict[int, Naive] = {}
        self.tokens = torch.full((n, LENGTH), 7, dtype=torch.int32)  # what a slot held before stays there
        self.total = torch.zeros(n, dtype=torch.int32)
        self.prompts, self.prefills = np.zeros(n, np.int32), np.zeros(n, np.int32)
        self.states = LogitsProcRequestState(
            device=torch.device("cpu"), max_num_reqs=n, vocab_size=size,
            all_token_ids=SimpleNamespace(gpu=self.tokens), prompt_len=SimpleNamespace(np=self.prompts),
            prefill_len=SimpleNamespace(np=self.prefills), total_len=SimpleNamespace(gpu=self.total),
        )  # fmt: skip

    def enter(self, slot: int, request: Naive) -> None:
        """As RequestState.add_request: the prompt and, for one that goes on, what it has written."""
        self.requests[slot] = request
        self.prompts[slot], self.prefills[slot] = request.prompt, request.prompt + len(request.output)
        self.write(slot)

    def write(self, slot: int) -> None:
        request = self.requests[slot]
        end = request.prompt + len(request.output)
        self.tokens[slot, request.prompt : end] = torch.tensor(request.output, dtype=torch.int32)
        self.total[slot] = end

    def context(self, slots: list[int], drafts: dict[int, list[int]], slack: int) -> LogitsContext:
        rows = [(slot, j) for slot in slots for j in range(1 + len(drafts[slot]))]
        inputs = [drafts[slot][j - 1] if j else 5 for slot, j in rows]
        lengths = [int(self.total[slot]) + len(drafts[slot]) + slack for slot in slots]
        ints = [torch.tensor(column, dtype=torch.int32) for column in (*zip(*rows), inputs)]
        return LogitsContext(
            expanded_idx_mapping=ints[0], idx_mapping=torch.tensor(slots), idx_mapping_np=np.array(slots),
            expanded_local_pos=ints[1], input_ids=ints[2],
            pos=torch.tensor([int(self.total[slot]) - 1 + j for slot, j in rows]),
            seq_lens_upper_bound_np=np.array(lengths),
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_slots_are_those_of_requests_that_know_their_tokens_alone(
    seed: int, matchers: RequestMatchers, tokenizer: Any
) -> None:
    rng, slots = random.Random(seed), NaiveSlots(matchers.size, 7)
    rows = SlotRows(matchers, slots.states)
    compared = 0
    for _ in range(50):
        for slot in range(7):
            request = slots.requests.get(slot)
            if request is not None and (rng.random() < 0.1 or slots.total[slot] > LENGTH - 8):
                del slots.requests[slot]
            if slot not in slots.requests and rng.random() < 0.4:
                going_on = request is not None and rng.random() < 0.3 and slots.total[slot] < LENGTH - 20
                slots.enter(slot, request if going_on else new_request(rng, tokenizer))
                assert rows.add(slot, slots.requests[slot].params) == (slots.requests[slot].asked is not None)
        chosen = rng.sample(sorted(slots.requests), rng.randrange(len(slots.requests) + 1))
        if not chosen:
            continue
        drafts = {slot: drafted(slots.requests[slot], rng, rng.choice([0, 0, 2, 4])) for slot in chosen}
        if rng.random() < 0.8:
            rows.stage()
        has_drafts = any(drafts.values())
        context = slots.context(chosen, drafts, slack=rng.choice([0, 3]) if has_drafts else 0)
        logits = torch.randn(len(context.pos), matchers.size)
        before = logits.clone()
        rows.apply(logits, context)
        row = 0
        for slot in chosen:
            request, sampled = slots.requests[slot], []
            for j in range(1 + len(drafts[slot])):
                expected = request.next(before[row], drafts[slot][:j])
                if expected is None:  # behind an illegal draft
                    allowed = set(torch.nonzero(logits[row] > -torch.inf).flatten().tolist())
                    assert allowed == request.params._all_stop_token_ids
                else:
                    assert torch.equal(logits[row], expected), (request.asked, request.output, drafts[slot][:j])
                    compared += 1
                    if sampled == drafts[slot][:j]:
                        sampled.append(verified(expected, drafts[slot][j:], rng))
                row += 1
            request.output += sampled
            slots.write(slot)
    assert compared > 100


def verified(row: torch.Tensor, drafts: list[int], rng: random.Random) -> int:
    """The next draft, if it is legal and fortune will have it, or another token."""
    if drafts and drafts[0] >= 0 and row[drafts[0]] > -torch.inf and rng.random() < 0.7:
        return drafts[0]
    return drawn(row, rng)


def drafted(request: Naive, rng: random.Random, n: int) -> list[int]:
    """Tokens that may be legal, one of them not where fortune will have it; -1 as of vLLM's placeholders."""
    drafts: list[int] = []
    for _ in range(n):
        row = request.next(torch.zeros(request.size), drafts)
        if row is None or rng.random() < 0.15:
            drafts.append(rng.choice([-1, 11, 300]) if request.asked is not None else 11)
        else:
            drafts.append(drawn(row, rng))
    return drafts


def test_a_step_takes_what_was_staged_and_asks_the_device_for_nothing_behind_the_forward_pass(
    matchers: RequestMatchers, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = NaiveSlots(matchers.size, 3)
    rows, rng = SlotRows(matchers, slots.states), random.Random(0)
    monkeypatch.setattr(rows, "_fetch", None)
    for slot, asked in enumerate([{"regex": "[a-z ]{60}"}, None, {"json": SCHEMA}]):
        request = Naive(asked, params_of(asked, tokenizer, temperature=0.0), 4, tokenizer)
        slots.enter(slot, request)
        rows.add(slot, request.params)
    for _ in range(12):
        rows.stage()
        logits = torch.randn(3, matchers.size)
        expected = [slots.requests[slot].next(logits[slot], []) for slot in (2, 0, 1)]
        logits = logits[[2, 0, 1]]
        rows.apply(logits, slots.context([2, 0, 1], {0: [], 1: [], 2: []}, slack=0))
        assert torch.equal(logits, torch.stack(expected))
        for slot, row in zip((2, 0, 1), expected):
            slots.requests[slot].output.append(drawn(row, rng))
            slots.write(slot)
        if any(request.output[-1] in request.params._all_stop_token_ids for request in slots.requests.values()):
            break


def test_what_was_staged_before_a_token_was_there_is_fetched_anew(matchers: RequestMatchers, tokenizer: Any) -> None:
    slots = NaiveSlots(matchers.size, 1)
    rows = SlotRows(matchers, slots.states)
    request = Naive({"regex": "[0-9]+"}, params_of({"regex": "[0-9]+"}, tokenizer), 3, tokenizer)
    slots.enter(0, request)
    rows.add(0, request.params)
    rows.stage()
    request.output += tokenizer.encode("1", add_special_tokens=False)
    slots.write(0)
    logits = torch.randn(1, matchers.size)
    expected = request.next(logits[0], [])
    rows.apply(logits, slots.context([0], {0: []}, slack=0))
    assert torch.equal(logits[0], expected) and expected[tokenizer.eos_token_id] > -torch.inf


def test_a_step_without_grammars_fetches_nothing(matchers: RequestMatchers, tokenizer: Any) -> None:
    rows = SlotRows(matchers, SimpleNamespace(prompt_len=SimpleNamespace(np=np.zeros(2, np.int32))))
    assert rows.add(1, params_of(None, tokenizer)) is False
    rows.stage()
    context = SimpleNamespace(idx_mapping_np=np.array([1]), seq_lens_upper_bound_np=np.array([5]))
    logits = torch.zeros(1, matchers.size)
    rows.apply(logits, context)
    assert not logits.any()


@pytest.mark.parametrize("is_staged", [False, True])
def test_a_request_that_goes_on_in_pieces_takes_no_token_of_the_next_slot(
    is_staged: bool, matchers: RequestMatchers, tokenizer: Any
) -> None:
    """One that was preempted enters with tokens, and its first steps may stand before their end."""
    slots = NaiveSlots(matchers.size, 2)
    rows = SlotRows(matchers, slots.states)
    for slot in (0, 1):
        words = ["silver box name silver box", "of"][slot]
        params = params_of({"regex": f"{words}[0-9]+"}, tokenizer)
        slots.enter(slot, Naive({"regex": f"{words}[0-9]+"}, params, 3, tokenizer))
        slots.requests[slot].output += tokenizer.encode(words, add_special_tokens=False)
        slots.write(slot)
        rows.add(slot, params)
    if is_staged:
        rows.stage()
    context = slots.context([0, 1], {0: [], 1: []}, slack=0)
    context.seq_lens_upper_bound_np[0] = 4
    rows.apply(torch.zeros(2, matchers.size), context)
    context = slots.context([0, 1], {0: [], 1: []}, slack=0)
    logits = torch.randn(2, matchers.size)
    expected = [slots.requests[slot].next(logits[slot], []) for slot in (0, 1)]
    rows.apply(logits, context)
    assert torch.equal(logits, torch.stack(expected))


# ---------------------------------------------------------------------------------------------- texts in error


def only_stops(text: RequestText, matchers: RequestMatchers, tokenizer: Any) -> bool:
    bitmask = bridle.allocate_token_bitmask(1, matchers.size)
    text.fill(bitmask, 0)
    return tokens_in(bitmask[0]).tolist() == [tokenizer.eos_token_id]


def begun(asked: dict[str, Any], matchers: RequestMatchers, tokenizer: Any, **more: Any) -> RequestText:
    text = text_of(matchers, params_of(asked, tokenizer, **more), 5)
    assert text is not None
    return text


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged as an error; vLLM's loggers hand nothing on to pytest's."""
    from bridle.integrations.vllm import request_texts

    messages: list[str] = []
    monkeypatch.setattr(request_texts.logger, "error", lambda text, *values, **_: messages.append(text % values))
    return messages


def test_a_token_that_the_grammar_has_not_leaves_stop_tokens_until_it_is_taken_back(
    matchers: RequestMatchers, tokenizer: Any, logged: list[str]
) -> None:
    text = begun({"regex": "[0-9]+"}, matchers, tokenizer)
    one, letter = (tokenizer.encode(c, add_special_tokens=False)[0] for c in "1a")
    text.take([one, letter])
    assert only_stops(text, matchers, tokenizer) and text.taken == 1
    assert len(logged) == 1 and "is not allowed behind b'1'" in logged[0]
    text.cut(2)
    assert only_stops(text, matchers, tokenizer)
    text.cut(1)
    assert not only_stops(text, matchers, tokenizer)
    text.take([one])
    assert text.taken == 2 and len(logged) == 1


def test_a_token_that_vllm_hides_is_named_in_the_log(
    matchers: RequestMatchers, tokenizer: Any, logged: list[str]
) -> None:
    text = begun({"regex": "[0-9]+"}, matchers, tokenizer)
    text.take([-1])
    assert only_stops(text, matchers, tokenizer)
    assert "--logits-processors" in logged[0]


def test_a_special_token_that_the_vocabulary_has_not_leaves_stop_tokens(
    matchers: RequestMatchers, tokenizer: Any, logged: list[str]
) -> None:
    text = begun({"grammar": 'root ::= <|nope|> "a"'}, matchers, tokenizer)
    text.take([])
    text.cut(0)
    assert only_stops(text, matchers, tokenizer)
    assert "<|nope|>" in logged[0]


@pytest.mark.parametrize("resident", [False, True])
def test_a_text_that_meets_a_budget_ends_and_the_others_go_on(
    resident: bool, matchers: RequestMatchers, tokenizer: Any, logged: list[str]
) -> None:
    good, bad = (begun({"regex": "[0-9]+"}, matchers, tokenizer, max_tokens=None) for _ in range(2))
    big = {"type": "object", "properties": {f"k{i}": {"type": "integer"} for i in range(40)}, "minProperties": 30}
    grammar = bridle.Grammar.from_regex("[0-9]") + bridle.Grammar.from_json_schema(big)
    bad._text = BudgetedText(
        bridle.Matcher(bridle.compile(grammar, good.vocabulary, limits=bridle.Limits(states=30)))
    )
    one = tokenizer.encode("1", add_special_tokens=False)
    masks = RowMasks(matchers.size, resident=resident)
    for tokens in ([], one, one):
        logits = torch.zeros(2, matchers.size)
        for text in (good, bad):
            text.take(tokens)
        masks.apply(logits, [bad, good], [1, 0])
        assert torch.isfinite(logits[0]).sum() > 3
    assert torch.nonzero(logits[1] == 0).flatten().tolist() == [tokenizer.eos_token_id]
    assert len(logged) == 1 and "states" in logged[0]


def test_a_draft_in_error_logs_nothing_and_leaves_the_text_as_it_was(
    matchers: RequestMatchers, tokenizer: Any, logged: list[str]
) -> None:
    text = begun({"regex": "[0-9]+"}, matchers, tokenizer)
    text.take([])
    letter = tokenizer.encode("a", add_special_tokens=False)[0]
    assert only_stops(text.behind(letter), matchers, tokenizer)
    assert not only_stops(text, matchers, tokenizer) and text.taken == 0 and not logged


def test_a_mask_that_recurs_is_sent_to_the_device_once(matchers: RequestMatchers, tokenizer: Any) -> None:
    text = begun({"regex": "(sent|once)[0-9]{3}"}, matchers, tokenizer, max_tokens=None)
    text.take(tokenizer.encode("sent", add_special_tokens=False))
    table, masks = mask_table(matchers.size, torch.device("cpu")), RowMasks(matchers.size, resident=True)
    sent = table.sent
    for _ in range(3):
        masks.apply(torch.zeros(2, matchers.size), [text, text], [0, 1])
    assert table.sent == sent + 1


# ---------------------------------------------------------------------------------------------- temperatures


def test_a_row_has_the_temperature_of_the_part_once_vllm_has_divided_it(
    matchers: RequestMatchers, tokenizer: Any
) -> None:
    logits = torch.randn(1, matchers.size)
    cold = begun({"grammar": "root[temperature=0.25] ::= [a-z]{9}"}, matchers, tokenizer, temperature=1.6)
    plain = begun({"grammar": "root ::= [a-z]{9}"}, matchers, tokenizer, temperature=1.6)
    results = []
    for text in (cold, plain):
        text.take([])
        results.append(logits.clone())
        RowMasks(matchers.size).apply(results[-1], [text], [0])
    found, expected = (results[0] / 1.6).softmax(-1), (results[1] / 0.25).softmax(-1)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, (results[1] / 1.6).softmax(-1), atol=1e-2)


@pytest.mark.parametrize("digits", ["1" + "0" * 60, "0.00001"])
def test_temperatures_far_from_the_requests_leave_logits_that_are_numbers(
    digits: str, matchers: RequestMatchers, tokenizer: Any
) -> None:
    text = begun({"grammar": f"root[temperature={digits}] ::= [a-z]{{9}}"}, matchers, tokenizer, temperature=0.7)
    text.take([])
    logits = torch.randn(1, matchers.size)
    RowMasks(matchers.size).apply(logits, [text], [0])
    assert not logits.isnan().any() and 0 < int(logits.isfinite().sum()) < matchers.size


def test_heated_rows_are_those_that_are_named(matchers: RequestMatchers) -> None:
    logits = torch.tensor([[1.0, -torch.inf, 3.0, 2.0]]).repeat(3, 1)
    heat_rows(logits, [2, 0], [0.0, 0.5])
    inf = torch.inf
    assert logits.tolist() == [[0.5, -inf, 1.5, 1.0], [1.0, -inf, 3.0, 2.0], [-inf, -inf, 3.0, -inf]]


# ---------------------------------------------------------------------------------------------- the class


def test_both_runners_take_the_class_by_its_name() -> None:
    assert _load_logitsprocs_by_fqcns([NAME]) == _load_v2_logitsprocs_by_fqcns([NAME]) == [BridleLogitsProcessor]


def test_what_it_is_made_with_says_which_runner_it_serves(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Any, matchers: RequestMatchers
) -> None:
    from vllm import tokenizers

    monkeypatch.setattr(tokenizers, "cached_tokenizer_from_config", lambda model: tokenizer)
    config = config_of(tokenizer)
    config.model_config.skip_tokenizer_init = False
    config.model_config.get_vocab_size = lambda: matchers.size
    params = params_of({"choice": ["x"]}, tokenizer)
    (x,) = tokenizer.encode("x", add_special_tokens=False)

    first = BridleLogitsProcessor(config, torch.device("cpu"), False)
    assert first.is_argmax_invariant() is False
    first.update_state(BatchUpdate(1, [], [(0, params, [1], [])], []))
    first.update_state(None)
    logits = torch.zeros(1, matchers.size)
    assert first.apply(logits) is logits and torch.nonzero(logits == 0)[:, 1].tolist() == [x]

    slots = NaiveSlots(matchers.size, 1)
    second = BridleLogitsProcessor(config, slots.states)
    slots.enter(0, Naive(None, params, 3, tokenizer))
    assert second.add_request(0, params) is True
    second.apply_staged_writes()
    logits = torch.zeros(1, matchers.size)
    assert second.apply(logits, slots.context([0], {0: []}, 0)) is logits
    assert torch.nonzero(logits == 0)[:, 1].tolist() == [x]


REFUSED = [
    ({"json": {"type": "objet"}}, "/type"),
    ({"json": {"enum": [1], "type": "string"}}, "no value"),
    ({"grammar": "root ::= x"}, "rule 'x' is not defined"),
    ({"regex": "(a"}, "unterminated group"),
    ({"choice": []}, "no choices"),
    ({"jsn": {}}, "'jsn'"),
    ({}, "has one of"),
    ({"regex": "a", "json": {}}, "not \\['json', 'regex'\\]"),
    ({"regex": 5}, "no structured_outputs"),
    (3, "is a dict"),
]
REFUSED_BESIDE: list[tuple[dict[str, Any], str]] = [
    ({"options": {"indent": {}}}, "indent is 0 to 16"),
    ({"options": {"max_whitespace": True}}, "max_whitespace is 0 to 65536"),
    ({"budget": 0}, "true, false or left out, not 0"),
]


@pytest.mark.parametrize(("asked", "reason"), REFUSED)
def test_what_is_no_grammar_is_refused_with_its_reason(asked: Any, reason: str) -> None:
    with pytest.raises(VLLMValidationError, match=reason):
        BridleLogitsProcessor.validate_params(SamplingParams(extra_args={"bridle": {"logits": asked}}))


@pytest.mark.parametrize(("beside", "reason"), REFUSED_BESIDE)
def test_what_stands_beside_a_grammar_is_refused_with_its_reason(beside: dict[str, Any], reason: str) -> None:
    params = SamplingParams(extra_args={"bridle": {"logits": {"json": {"type": "object"}}, **beside}})
    with pytest.raises(VLLMValidationError, match=reason):
        BridleLogitsProcessor.validate_params(params)


@pytest.mark.parametrize(
    "more", [{"min_tokens": 2}, {"allowed_token_ids": [1]}, {"bad_words": ["a"]}, {"thinking_token_budget": 0}]
)
def test_parameters_that_may_forbid_what_the_grammar_allows_are_refused(more: dict[str, Any]) -> None:
    BridleLogitsProcessor.validate_params(SamplingParams(**more))
    params = SamplingParams(extra_args={"bridle": {"logits": {"regex": "a"}}}, **more)
    with pytest.raises(VLLMValidationError, match=next(iter(more))):
        BridleLogitsProcessor.validate_params(params)


@pytest.mark.parametrize(
    ("processors", "is_refused"), [(None, True), ([NAME], False), ([BridleLogitsProcessor], False)]
)
def test_the_backend_refuses_a_grammar_for_a_processor_that_is_not_there(
    processors: Any, is_refused: bool, tokenizer: Any
) -> None:
    from bridle.integrations.vllm.admission import admit

    model = SimpleNamespace(logits_processors=processors)
    asked = params_of({"regex": "a"}, tokenizer)
    with pytest.raises(VLLMValidationError, match="--logits-processors") if is_refused else nullcontext():
        admit(asked, model, None, tokenizer)


def test_importing_the_processor_imports_no_numba() -> None:
    code = f"import sys, {NAME.partition(':')[0]}; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
