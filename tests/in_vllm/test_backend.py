"""The backend without an engine: vLLM's own manager and classes, requests that are stand-ins."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("vllm.v1.structured_output", reason="vLLM is not installed: make test-vllm")
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams, StructuredOutputsParams
from vllm.v1.structured_output import StructuredOutputManager
from vllm.v1.structured_output.backend_types import StructuredOutputOptions

import bridle
from bridle.integrations.vllm import admission
from bridle.integrations.vllm.backend import BridleBackend
from bridle.integrations.vllm.request_reading import arguments_of

SIZE = 4096 + 31  # the model is wider than its tokenizer
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "tags"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer(box):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(f"{box}/tokenizer.json"))
    tokenizer.eos_token = "<|eos|>"
    return tokenizer


@pytest.fixture(scope="module")
def backend(tokenizer):
    return make_backend(tokenizer)


def make_backend(tokenizer, *, compact=False, longest=1024, eos=1, drafted=0):
    config = SimpleNamespace(
        structured_outputs_config=SimpleNamespace(disable_any_whitespace=compact),
        model_config=SimpleNamespace(max_model_len=longest, try_get_generation_config=lambda: {"eos_token_id": eos}),
        speculative_config=None,
        num_speculative_tokens=drafted,
    )
    return BridleBackend(config, tokenizer=tokenizer, vocab_size=SIZE)


def request_for(max_tokens=200, *, prompt=10, stops=(1,), extra=None, **outputs):
    params = SimpleNamespace(
        structured_outputs=StructuredOutputsParams(**outputs), extra_args=extra, all_stop_token_ids=set(stops)
    )
    return SimpleNamespace(
        request_id="r", sampling_params=params, max_tokens=max_tokens, num_prompt_tokens=prompt, num_output_tokens=0
    )


def row_of(grammar, backend, rows=1, row=0):
    mask = backend.allocate_token_bitmask(rows)
    grammar.fill_bitmask(mask, row)
    return np.flatnonzero(np.unpackbits(mask[row].numpy().view(np.uint8), bitorder="little"))


def ids_of(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


# ------------------------------------------------------------------------------------------------ grammars


def test_masks_are_as_wide_as_the_model_and_those_of_a_matcher(backend, tokenizer):
    grammar = backend.compile_grammar(StructuredOutputOptions.JSON, json.dumps(SCHEMA), {1})
    mask = backend.allocate_token_bitmask(5)
    assert mask.dtype == torch.int32 and mask.shape == (5, (SIZE + 31) // 32)
    vocabulary = bridle.Vocabulary.from_hf(tokenizer, size=SIZE, stop_token_ids=[1])
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary))
    expected = bridle.allocate_token_bitmask(1, SIZE)
    for token in [*ids_of(tokenizer, '{"name": "Ada", "tags": ["x", "y"]}'), 1]:
        grammar.fill_bitmask(mask, 3)
        matcher.fill_next_token_bitmask(expected)
        np.testing.assert_array_equal(mask[3].numpy(), expected[0])
        assert (mask[[0, 1, 2, 4]] == -1).all()
        assert grammar.validate_tokens([token, -1, -1]) == [token]
        assert grammar.accept_tokens("r", [token]) and matcher.accept_token(token)
    assert grammar.is_terminated()
    assert grammar.accept_tokens("r", [5, 7])  # let pass
    foreign = torch.full((2, (SIZE + 31) // 32), -1, dtype=torch.int32)  # a bitmask that the backend has not made
    grammar.reset()
    grammar.fill_bitmask(foreign, 1)
    assert (foreign[0] == -1).all() and not (foreign[1] == -1).all()


def test_drafts_are_cut_and_taken_back(backend, tokenizer):
    grammar = backend.compile_request(request_for(json=SCHEMA))
    good = ids_of(tokenizer, '{"name": "Ada"')
    start = row_of(grammar, backend).tolist()
    assert grammar.validate_tokens([*good, 3999, 5]) == good
    assert grammar.validate_tokens([*good[:2], -1, *good[2:]]) == good[:2]
    assert row_of(grammar, backend).tolist() == start
    for token in good:
        assert grammar.accept_tokens("r", [token])
    assert not grammar.accept_tokens("r", [1])  # the text may not end here
    grammar.rollback(len(good))
    assert row_of(grammar, backend).tolist() == start
    assert grammar.accept_tokens("r", good)


@pytest.mark.parametrize("stops", [{1}, {1, 0}, {1, 65}, {1, SIZE - 1}, {1, 10**6}])
def test_a_request_has_its_own_stop_tokens(backend, tokenizer, stops):
    grammar = backend.compile_request(request_for(stops=stops, regex="[A-Z]{2}"))
    assert not stops & set(row_of(grammar, backend).tolist())
    for letter in "XY":
        assert grammar.accept_tokens("r", ids_of(tokenizer, letter))
    assert set(row_of(grammar, backend).tolist()) == {stop for stop in stops if stop < SIZE}


def test_equal_requests_share_what_was_compiled(backend):
    one, other = (backend.compile_request(request_for(json=SCHEMA)) for _ in range(2))
    assert one._text.start.compiled is other._text.start.compiled
    spaced = backend.compile_request(request_for(json=SCHEMA, disable_any_whitespace=True))
    assert spaced._text.start.compiled is not one._text.start.compiled


def test_an_engine_can_be_set_to_compact_json(tokenizer):
    compact = make_backend(tokenizer, compact=True)
    space = ids_of(tokenizer, " ")[0]
    for grammar in (
        compact.compile_request(request_for(json_object=True)),
        compact.compile_grammar(StructuredOutputOptions.JSON_OBJECT, "", {1}),
    ):
        assert grammar.accept_tokens("r", ids_of(tokenizer, "{"))
        assert space not in row_of(grammar, compact)


# ------------------------------------------------------------------------------------------------ budgets


def written(grammar, backend, most, seed=0):
    """What a model of no mind writes: random allowed tokens. The request counts each before it is accepted."""
    rng, tokens = np.random.default_rng(seed), []
    while len(tokens) < most and not grammar.is_terminated():
        token = int(rng.choice(row_of(grammar, backend)))
        grammar._request.num_output_tokens += 1
        assert grammar.accept_tokens("r", [token])
        tokens.append(token)
    return tokens


@pytest.mark.parametrize("seed", range(4))
def test_objects_are_closed_within_the_tokens_of_a_request(backend, tokenizer, seed):
    request = request_for(60, json=SCHEMA)
    grammar = backend.compile_request(request)
    tokens = written(grammar, backend, 60, seed)
    assert grammar.is_terminated()
    assert bridle.validate(bridle.Grammar.from_json_schema(SCHEMA), tokenizer.decode(tokens[:-1])).ok


def test_the_length_of_the_model_is_a_budget_too(tokenizer):
    backend = make_backend(tokenizer, longest=100)
    grammar = backend.compile_request(request_for(10_000, prompt=60, json=SCHEMA))
    written(grammar, backend, 40)
    assert grammar.is_terminated()


def test_what_was_thought_counts(backend):
    request = request_for(100, json=SCHEMA)
    grammar = backend.compile_request(request)
    request.num_output_tokens = 60  # of reasoning, when the first mask is asked for
    written(grammar, backend, 60)
    assert grammar.is_terminated() and request.num_output_tokens <= 100


def test_the_first_tokens_may_come_with_the_end_of_the_thought(backend, tokenizer):
    """In one step of drafts that were accepted: they count before they are accepted here."""
    request = request_for(40, json=SCHEMA)
    grammar = backend.compile_request(request)
    first = ids_of(tokenizer, '{"')
    request.num_output_tokens = 10 + len(first)
    assert grammar.accept_tokens("r", first)
    assert grammar._text.current().remaining_tokens == 40 - 10 - len(first)


def test_a_text_without_room_is_written_all_the_same(backend):
    grammar = backend.compile_request(request_for(3, json=SCHEMA))
    assert grammar._text.current().remaining_tokens is None
    assert written(grammar, backend, 3)


def test_a_budget_can_be_declined(backend):
    extra = {"bridle": {"budget": False}}
    assert backend.compile_request(request_for(50, json=SCHEMA, extra=extra))._text.current().remaining_tokens is None
    assert backend.compile_request(request_for(50, json=SCHEMA))._text.current().remaining_tokens == 50


ARRAYS = {"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}


@pytest.mark.parametrize("schema", [SCHEMA, ARRAYS])
def test_a_text_gets_its_budget_when_few_tokens_are_left_and_is_closed_all_the_same(backend, tokenizer, schema):
    """By a writer that opens as much as it may."""
    longest = sorted(range(4096), key=lambda id_: -tokenizer.decode([id_]).count("["))
    rank = {id_: n for n, id_ in enumerate(longest)}
    grammar = backend.compile_request(request_for(400, json=schema))
    assert grammar._text.current().remaining_tokens is None
    for _ in range(400):
        token = min(row_of(grammar, backend).tolist(), key=lambda id_: (rank.get(id_, 5000), id_ == 1))
        grammar._request.num_output_tokens += 1
        assert grammar.accept_tokens("r", [token])
        if grammar.is_terminated():
            break
    assert grammar.is_terminated()
    assert grammar._text.current().remaining_tokens is not None


def test_a_request_that_asks_for_its_budget_has_it_from_the_start(backend):
    extra = {"bridle": {"budget": True}}
    assert backend.compile_request(request_for(400, json=SCHEMA, extra=extra))._text.current().remaining_tokens == 400


def test_a_budget_that_came_with_a_draft_goes_with_it_and_comes_again(backend, tokenizer):
    request = request_for(85, json=SCHEMA)
    grammar = backend.compile_request(request)
    draft = [*ids_of(tokenizer, '{"name": "'), *ids_of(tokenizer, "a") * 15]
    for _ in range(2):
        row_of(grammar, backend)
        assert grammar._text.current().remaining_tokens is None
        for token in draft:
            request.num_output_tokens += 1
            assert grammar.accept_tokens("r", [token])
            row_of(grammar, backend)
        assert grammar._text.current().remaining_tokens == 85 - len(draft)
        grammar.rollback(len(draft))
        request.num_output_tokens = 0


def test_looks_at_a_budget_that_came_with_a_draft_go_with_it(backend, tokenizer):
    """What is written in the place of the draft may need more, and is looked at where it would have been."""
    grammar = backend.compile_request(request_for(800, json=ARRAYS))
    opening, text = ids_of(tokenizer, "["), grammar._text
    row_of(grammar, backend)
    first = text._looks_at
    for _ in range(2):
        assert grammar.accept_tokens("r", opening * 300)
        assert text._looks_at < first
        grammar.rollback(300)
        assert text._looks_at == first


def test_drafts_are_cut_to_a_budget_that_comes_on_their_way(backend, tokenizer):
    request = request_for(200, json=ARRAYS)
    grammar = backend.compile_request(request)
    draft = ids_of(tokenizer, "[") * 150
    row_of(grammar, backend)
    valid = grammar.validate_tokens(draft)
    assert 50 < len(valid) < 150
    assert all(grammar.accept_tokens("r", [token]) for token in valid)
    grammar.rollback(len(valid))
    assert grammar.validate_tokens(draft) == valid


# ------------------------------------------------------------------------------------------------ faults


class Failing:
    """A matcher that meets a budget behind so many tokens."""

    def __init__(self, inner, at):
        self.inner, self.at, self.n = inner, at, 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def fill_next_token_bitmask(self, bitmask, row):
        if self.n >= self.at:
            raise bridle.LimitError("states", 11, 10, place="byte 3 of the text")
        return self.inner.fill_next_token_bitmask(bitmask, row)

    def accept_token(self, token):
        self.n += self.inner.accept_token(token)
        return True

    def rollback(self, n):
        self.n -= n
        self.inner.rollback(n)


def test_a_budget_met_in_a_mask_ends_that_text_alone(backend, tokenizer):
    grammar = backend.compile_grammar(StructuredOutputOptions.JSON, json.dumps(SCHEMA), {1})
    grammar._text._matcher = Failing(grammar._text._matcher, 2)
    tokens = ids_of(tokenizer, '{"name": "Ada"')
    assert grammar.accept_tokens("r", tokens[:2])
    assert row_of(grammar, backend).tolist() == [1]
    assert grammar.validate_tokens([1]) == []
    assert not grammar.accept_tokens("r", [1])  # upon which vLLM ends the request as an error
    assert not grammar.is_terminated()


def test_a_budget_that_only_a_draft_meets_is_forgotten(backend, tokenizer):
    grammar = backend.compile_grammar(StructuredOutputOptions.JSON, json.dumps(SCHEMA), {1})
    grammar._text._matcher = Failing(grammar._text._matcher, 2)
    tokens = ids_of(tokenizer, '{"name": "Ada"')
    start = row_of(grammar, backend).tolist()
    for token in tokens[:2]:
        assert grammar.accept_tokens("r", [token])
    assert row_of(grammar, backend).tolist() == [1]
    grammar.rollback(2)
    assert row_of(grammar, backend).tolist() == start


def test_nothing_is_raised_into_the_engine(backend):
    grammar = backend.compile_grammar(StructuredOutputOptions.JSON, json.dumps(SCHEMA), {1})
    grammar._text._matcher = None
    assert row_of(grammar, backend).tolist() == [1]
    assert grammar.validate_tokens([5]) == []
    assert not grammar.accept_tokens("r", [5])


# ------------------------------------------------------------------------------------------------ admission


def admitted(tokenizer, extra=None, backend="bridle", **outputs):
    params = SamplingParams(
        max_tokens=10, extra_args=extra, structured_outputs=StructuredOutputsParams(**outputs) if outputs else None
    )
    model = SimpleNamespace(is_diffusion=False, get_vocab_size=lambda: SIZE)
    config = SimpleNamespace(backend=backend, disable_any_whitespace=False)
    admission.admit(params, model, config, tokenizer)
    return params


TOOLS = {"find": {"type": "object", "properties": {"q": {"type": "string"}}, "additionalProperties": False}}


@pytest.mark.parametrize(
    ("extra", "outputs", "says"),
    [
        (None, {"json": {"properties": {"a": {"type": "objet"}}}}, "'objet' is not a type.* at /properties/a/type"),
        (None, {"json": {"type": "string", "enum": [1]}}, "no value satisfies"),
        (None, {"json": "{"}, "not JSON"),
        (None, {"json": ""}, "not JSON"),
        (None, {"json": {"$ref": "https://example.org/x"}}, "example.org/x"),
        (None, {"json_object": False}, "json_object is true"),
        (None, {"regex": "(a"}, "missing \\)"),
        (None, {"choice": []}, "no choices"),
        (None, {"grammar": "root ::= x"}, "rule 'x' is not defined"),
        (None, {"grammar": " "}, "."),
        (None, {"grammar": "root ::= <|nope|>"}, "no special token '<\\|nope\\|>'"),
        (None, {"structural_tag": "{}"}, '"type"'),
        (None, {"regex": "a", "whitespace_pattern": " "}, "whitespace_pattern is not supported"),
        (None, {"regex": "a", "disable_additional_properties": True}, "additionalProperties: false"),
        ({"bridle": 3}, {"regex": "a"}, "is a dict"),
        ({"bridle": "{"}, {"regex": "a"}, "not JSON"),
        ({"bridle": {"bugdet": True}}, {"regex": "a"}, "has no 'bugdet'"),
        ({"bridle": {"budget": 3}}, {"regex": "a"}, "true, false or left out"),
        ({"bridle": {"budget": 1}}, {"regex": "a"}, "true, false or left out"),
        ({"bridle": '{"budget": ' + "9" * 5000 + "}"}, {"regex": "a"}, "cannot be read"),
        ({"bridle": {1: 2, "x": 3}}, {"regex": "a"}, "has no"),
        ({"bridle": {"options": {"indent": {}}}}, {"json": "{}"}, "indent is 0 to 16"),
        ({"bridle": {"options": {"separators": [[","], ":"]}}}, {"json": "{}"}, "separators are a comma and a colon"),
        ({"bridle": {"options": {"max_white": 3}}}, {"json": "{}"}, "'max_white' is no option"),
        ({"bridle": {"agent": "react"}}, {}, "names a tool, and there are none"),
        ({"bridle": {"agent": "react", "tools": TOOLS, "trace": "Answer: 3"}}, {}, "cannot have written"),
        ({"bridle": {"agent": "cot"}}, {"regex": "a"}, "not both"),
        ({"bridle": {"trace": "x"}}, {}, "no agent"),
    ],
)
def test_a_bad_request_is_refused_with_bridles_message(tokenizer, extra, outputs, says):
    for _ in range(2):
        with pytest.raises(VLLMValidationError, match=says):
            admitted(tokenizer, extra, **outputs)


def test_good_requests_are_let_in_and_agents_become_grammars(tokenizer):
    assert admitted(tokenizer, json=SCHEMA).structured_outputs._backend == "bridle"
    assert admitted(tokenizer).structured_outputs is None
    extra = {"bridle": json.dumps({"agent": "react", "tools": TOOLS, "trace": "Question: a"})}
    params = admitted(tokenizer, extra)
    assert params.structured_outputs.grammar.startswith("%agent {")
    model = SimpleNamespace(is_diffusion=False, get_vocab_size=lambda: SIZE)
    admission.admit(params, model, SimpleNamespace(backend="bridle", disable_any_whitespace=False), tokenizer)
    assert arguments_of(params.extra_args).agent["trace"] == "Question: a"


@pytest.mark.parametrize(
    ("arguments", "processors", "says"),
    [
        ({"agent": "cot"}, [], "is for an engine with --structured-outputs-config.backend"),
        ({"budget": True}, ["a:BridleLogitsProcessor"], "is for an engine with --structured-outputs-config.backend"),
        ({"logits": {"regex": "a"}}, [], "is for an engine with --logits-processors"),
        ({"bugdet": True}, [], "has no 'bugdet'"),
        ({"logits": {"regex": "a"}}, ["a:BridleLogitsProcessor"], None),
        (None, [], None),
    ],
)
def test_an_engine_with_another_backend_refuses_what_nothing_in_it_reads(tokenizer, arguments, processors, says):
    from bridle.integrations.vllm.plugin import register

    register()
    params = SamplingParams(extra_args=None if arguments is None else {"bridle": arguments})
    model = SimpleNamespace(is_diffusion=False, get_vocab_size=lambda: SIZE, logits_processors=processors)
    for config in (SimpleNamespace(backend="xgrammar"), None):
        if says is None:
            params._validate_structured_outputs(model, config, tokenizer)
            continue
        with pytest.raises(VLLMValidationError, match=says):
            params._validate_structured_outputs(model, config, tokenizer)


def test_an_engine_without_a_tokenizer_and_a_diffusion_model_are_refused():
    with pytest.raises(VLLMValidationError, match="need a tokenizer"):
        admitted(None, json=SCHEMA)


def test_an_agent_goes_on_behind_its_trace_and_stops_for_what_comes_from_outside(backend, tokenizer):
    trace = 'Question: hi?\nThought: a b\nAction: find\nAction Input: {"q": "x"}'
    extra = {"bridle": {"agent": "react", "tools": TOOLS, "trace": trace}}
    params = admitted(tokenizer, extra)
    request = request_for(grammar=params.structured_outputs.grammar, extra=extra)
    grammar = backend.compile_request(request)
    assert row_of(grammar, backend).tolist() == [1]  # the observation is awaited
    extra["bridle"]["trace"] += "\nObservation: 3"
    grammar = backend.compile_request(request_for(grammar=admitted(tokenizer, extra).structured_outputs.grammar))
    assert grammar.accept_tokens("r", ids_of(tokenizer, "\nThought: so\nFinal Answer: 3"))
    assert 1 in row_of(grammar, backend)


# ------------------------------------------------------------------------------------------------ vLLM's own manager


class Request(SimpleNamespace):
    use_structured_output = True


def make_manager(backend, drafted):
    manager = StructuredOutputManager.__new__(StructuredOutputManager)
    manager.backend, manager.enable_in_reasoning = backend, False
    manager.reasoner_cls = None
    manager._grammar_bitmask, manager._full_mask = None, torch.tensor(-1, dtype=torch.int32)
    manager.fill_bitmask_parallel_threshold = 128
    manager.vllm_config = SimpleNamespace(
        num_speculative_tokens=drafted,
        scheduler_config=SimpleNamespace(max_num_seqs=3),
        model_config=SimpleNamespace(is_diffusion=False),
    )
    return manager


@pytest.mark.parametrize("drafted", [0, 4])
def test_vllms_manager_fills_rows_of_drafts_as_if_they_had_come_one_by_one(backend, tokenizer, drafted):
    manager = make_manager(backend, drafted)
    text = [*ids_of(tokenizer, '{"name": "Ada", "tags": []}'), 1]
    grammars = {name: backend.compile_request(request_for(json=SCHEMA)) for name in "abc"}
    for i, grammar in enumerate(grammars.values()):
        assert grammar.accept_tokens("r", text[: 2 * i])
    requests = {
        name: Request(structured_output_request=SimpleNamespace(grammar=grammar, reasoning_ended=True))
        for name, grammar in grammars.items()
    }
    drafts = {}
    if drafted:
        for i, name in enumerate("abc"):
            proposed = [*text[2 * i : 2 * i + 2], 1, 5]
            drafts[name] = manager.validate_tokens(requests[name], proposed)
            assert drafts[name] == proposed[:2]
        drafts["c"] = [*drafts["c"], -1, -1]  # as asynchronous scheduling pads them
    rows = manager.grammar_bitmask(requests, [*"abc"], drafts)
    expected, at = bridle.allocate_token_bitmask(1, SIZE), 0
    for i, name in enumerate("abc"):
        drafted_here = drafts.get(name, [])
        for j in range(len(drafted_here) + 1):
            if -1 in drafted_here[:j]:
                assert (rows[at] == -1).all()
            else:
                twin = bridle.Matcher(grammars[name]._text.start.compiled)
                assert all(map(twin.accept_token, text[: 2 * i + j]))
                twin.fill_next_token_bitmask(expected)
                np.testing.assert_array_equal(rows[at], expected[0])
            at += 1
    assert at == len(rows) or not drafted


THOUGHT, END = 70, 2


class Reasoner:
    """Thoughts that one token ends."""

    def is_reasoning_end(self, ids):
        return END in ids

    def is_reasoning_end_streaming(self, ids, delta):
        return END in delta


@pytest.mark.parametrize("seed", range(6))
def test_drafts_that_go_beyond_the_end_of_a_thought_have_no_budget_too_many(tokenizer, seed):
    """vLLM asks for their masks when the request counts none of them yet."""
    backend = make_backend(tokenizer, drafted=4)
    manager = make_manager(backend, 4)
    rng, first = np.random.default_rng(seed), ids_of(tokenizer, '{"')
    least = bridle.Matcher(backend.compile_request(request_for(json=SCHEMA))._text.start.compiled).least_tokens()
    for room in range(least - 2, least + 8):
        request = Request(**vars(request_for(30 + room, json=SCHEMA)), all_token_ids=[5] * 10)
        grammar = backend.compile_request(request)
        request.structured_output_request = SimpleNamespace(
            grammar=grammar, reasoner=Reasoner(), reasoning_ended=False, reasoning_parser_kwargs=None
        )
        manager.reasoner_cls = Reasoner
        for _ in range(28):
            take(manager, request, [THOUGHT])
        draft = manager.validate_tokens(request, [THOUGHT, END, *first])
        rows = manager.grammar_bitmask({"r": request}, ["r"], {"r": draft})
        allowed = np.flatnonzero(np.unpackbits(rows[len(draft)].view(np.uint8), bitorder="little"))
        take(manager, request, [*draft, int(rng.choice(allowed))])
        while not grammar.is_terminated() and request.num_output_tokens < request.max_tokens:
            take(manager, request, [int(rng.choice(row_of(grammar, backend)))])
        assert grammar.is_terminated() or room < least


def take(manager, request, tokens):
    """What the scheduler does with new tokens."""
    request.all_token_ids.extend(tokens)
    request.num_output_tokens += len(tokens)
    assert manager.accept_tokens(request, tokens)


@pytest.mark.parametrize("room", range(8))
def test_drafts_right_behind_a_thought_have_the_budget_of_the_answer(tokenizer, room):
    """The step before ended with the thought, so that the answer begins with drafts."""
    backend = make_backend(tokenizer, drafted=4)
    manager = make_manager(backend, 4)
    manager.reasoner_cls = Reasoner
    first = ids_of(tokenizer, '{"')
    compiled = backend.compile_request(request_for(json=SCHEMA))._text.start.compiled
    room += bridle.Matcher(compiled).least_tokens()
    request = Request(**vars(request_for(20 + room, json=SCHEMA)), all_token_ids=[5] * 10)
    request.structured_output_request = SimpleNamespace(
        grammar=backend.compile_request(request), reasoner=Reasoner(), reasoning_ended=False,
        reasoning_parser_kwargs=None,
    )  # fmt: skip
    take(manager, request, [THOUGHT] * 19)
    take(manager, request, [END])
    draft = manager.validate_tokens(request, first)
    rows = manager.grammar_bitmask({"r": request}, ["r"], {"r": draft})
    twin, expected = bridle.Matcher(compiled, max_tokens=room), bridle.allocate_token_bitmask(1, SIZE)
    for row, token in zip(rows, [*draft, None], strict=True):
        twin.fill_next_token_bitmask(expected)
        np.testing.assert_array_equal(row, expected[0])
        assert token is None or twin.accept_token(token)


def test_the_turns_of_an_agent_share_what_was_compiled(backend, tokenizer):
    begun = 'Question: hi?\nThought: a b\nAction: find\nAction Input: {"q": "x"}'
    starts = []
    for trace in ("", begun, f"{begun}\nObservation: 3"):
        params = admitted(tokenizer, {"bridle": {"agent": "react", "tools": TOOLS, "trace": trace}})
        grammar = backend.compile_request(request_for(grammar=params.structured_outputs.grammar))
        assert grammar._text.start.text() == trace.encode()
        starts.append(grammar._text.start.compiled)
    assert starts[0] is starts[1] is starts[2]


def test_vocabularies_of_requests_with_their_own_stop_tokens_are_not_kept_for_ever(tokenizer):
    backend = make_backend(tokenizer)
    known = [
        weakref.ref(backend.compile_request(request_for(stops=(1, stop), json=SCHEMA))._text.start.compiled.vocabulary)
        for stop in range(100, 120)
    ]
    gc.collect()
    assert sum(one() is not None for one in known) <= 4


# ------------------------------------------------------------------------------------------------ the plugin


def test_registering_in_vllm_imports_no_numba_and_is_once():
    """Beside llvmlite, vLLM's worker on a CPU does not start."""
    program = (
        "import sys\n"
        "from bridle.integrations.vllm.plugin import register\n"
        "from vllm.v1.structured_output import StructuredOutputManager as Manager\n"
        "from vllm.config import StructuredOutputsConfig\n"
        "before = {*sys.modules}\n"
        "register(); wrapped = Manager.__init__; register()\n"
        "print(Manager.__init__ is wrapped, StructuredOutputsConfig(backend='bridle').backend)\n"
        "print(sorted({'numba', 'llvmlite'} & ({*sys.modules} - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-3:-1] == ["True bridle", "[]"], done.stderr
