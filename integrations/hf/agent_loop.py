"""Running an agent: the model writes its turns inside the specification, and what it awaits is fetched between them.

One matcher follows the whole text. In a turn, `model.generate` samples from what the matcher's masks leave; where the
turn ends because a text from outside is awaited, tools are called (or a handler of the caller's is asked), and the text
is fed. Tokens are kept as they were drawn, and so is the model's cache, so that nothing is computed twice.

What comes from outside cannot forge a step: a delimiter in it is written with a space behind its first character. A
tool that raises or takes too long has its error for a result. INVARIANT: the steps of a trace are those of its text,
and the automaton admits each of them. Where a limit is met, the trace is finished on the shortest way: a step in
progress ends where it is, or is left out, and the model writes the contents of the steps that are still needed.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from transformers import DynamicCache, LogitsProcessor, StoppingCriteria

from ...automata.bitmask_rows import allocate_token_bitmask
from ...automata.compiled import Compiled, compile_grammar
from ...automata.errors import GrammarError
from ...automata.matcher import Matcher
from ...grammar.agent_contents import NUMBER, FreeText, References, ToolArguments, ToolName
from ...grammar.agent_grammar import AgentGrammar
from ...grammar.agent_spec import AgentSpec
from ...grammar.agent_traces import Step, read_steps
from ...sampler.bitmask import apply_token_bitmask_inplace
from .generation import _sampling, _seeded, vocabulary_of
from .processor import ConflictError

__all__ = ["AgentTrace", "TracedStep", "run"]

Handler = Callable[["AgentTrace"], str]
_CHECKED = 16  # tokens between two looks at how many steps there are
_KEPT = 64  # tokens that are kept for the shortest way to the end


@dataclass(frozen=True, slots=True)
class TracedStep:
    """A step of a trace. tool : that it names, or whose arguments it has. value : of these arguments."""

    state: str
    content: str
    is_outside: bool
    tool: str | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class AgentTrace:
    """What came of a run.

    text : all steps as they stand, without the prompt. complete : the trace is finished. stopped : "end" where the
    model has ended it; a limit on "steps" or "tokens" that was met first; "outside" where nobody says what `awaited`
    awaits, or where what a tool says may not stand there: `error` is then why.
    tokens : that the model has generated. turns : of the model.
    """

    steps: tuple[TracedStep, ...]
    text: str
    complete: bool
    stopped: Literal["end", "steps", "tokens", "outside"]
    awaited: str | None
    tokens: int
    turns: int
    error: GrammarError | None = None

    def contents(self, state: str) -> list[str]:
        """The contents of the steps in a state."""
        return [step.content for step in self.steps if step.state == state]


def run(
    model: Any,
    tokenizer: Any,
    spec: AgentSpec | Compiled,
    tools: Mapping[str, Callable[..., Any]] | None = None,
    *,
    question: str | None = None,
    prompt: str = "",
    handlers: Mapping[str, Handler] | None = None,
    max_steps: int = 64,
    max_new_tokens: int = 1024,
    tool_timeout: float = 30.0,
    seed: int | None = None,
    do_sample: bool | None = None,
    temperature: float | None = None,
    **options: Any,
) -> AgentTrace:
    """Lets a model write a trace of an agent, with what tools and others say between its turns.

    spec : a specification, or the compiled grammar of one, which keeps what it has learned from run to run.
    tools : by name; called with the arguments that the model wrote, by their names, or with the text of a step that is
        no JSON. Without tools of its own, the specification takes the schemas of their signatures.
    question : what is said first, where the first step is from outside. prompt : what the model reads before.
    handlers : what is said in states from outside by others than tools, by state: functions of the trace so far.
    max_steps, max_new_tokens : of the whole trace. From so many steps on, or with a quarter of the tokens left (64 at
        the most), the trace is finished with the fewest steps that the specification admits, so that it is complete
        unless the tokens do not suffice for that. tool_timeout : seconds that a tool may take.
    seed, do_sample, temperature : as for `generate`; options : go to `model.generate`.
    Raises ValueError for a tool without a callable and a handler without a state; GrammarError for what a handler says
    and the state does not admit.
    """
    compiled = _compiled(model, tokenizer, spec, tools)
    grammar = compiled.grammar
    assert isinstance(grammar, AgentGrammar)
    heard = [state.name for state in grammar.spec.states if state.env]
    for name in set(handlers or ()).difference(heard):
        raise ValueError(f"a handler is for a state whose text comes from outside ({', '.join(heard)}), not {name!r}")
    outside = _Outside(grammar.spec, dict(tools or {}), dict(handlers or {}), question, tool_timeout)
    loop = _Loop(model, tokenizer, compiled, prompt, max_new_tokens, max_steps)
    with torch.inference_mode(), _seeded(seed, model):
        return loop.run(outside, {**options, **_sampling(seed, do_sample, temperature)})


def _compiled(model: Any, tokenizer: Any, spec: AgentSpec | Compiled, tools: Mapping[str, Any] | None) -> Compiled:
    if isinstance(spec, Compiled):
        compiled, of = spec, spec.grammar.spec if isinstance(spec.grammar, AgentGrammar) else None
        if of is None:
            raise TypeError(f"an agent is run by its specification, and {spec!r} is no grammar of one")
    else:
        of = spec if spec.tools or not tools else spec.with_tools(tools)
        compiled = compile_grammar(of.grammar, vocabulary_of(model, tokenizer))
    named = any(isinstance(state.content, ToolName) for state in of.states)
    missing = [name for name in of.tools if name not in (tools or {})] if named else []
    if missing:
        raise ValueError(f"the tools {', '.join(missing)} of {of.name} have no callable in tools={{name: callable}}")
    return compiled


# ------------------------------------------------------------------------------------------------ the model's turns


class _Loop:
    """One run. ids : all tokens so far, the prompt's included. left : tokens that may still be generated. limit : what
    has been met, if anything has; the trace is then finished on the shortest way."""

    def __init__(
        self, model: Any, tokenizer: Any, compiled: Compiled, prompt: str, max_new_tokens: int, max_steps: int
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.grammar: Any = compiled.grammar
        self.matcher = Matcher(compiled)
        self.ids: list[int] = list(tokenizer(prompt)["input_ids"]) if prompt else _beginning(tokenizer)
        self.left, self.most_steps = max_new_tokens, max_steps
        self.kept = min(_KEPT, max_new_tokens // 4)
        self.limit: Literal["steps", "tokens"] | None = None
        self.tokens = self.turns = 0
        self.at_turn = len(self.ids)
        self.cache = self._new_cache()

    def run(self, outside: _Outside, options: dict[str, Any]) -> AgentTrace:
        while True:
            awaited = self.matcher.pending_state()
            if awaited is not None:
                said = outside.said(awaited, self.trace(False, awaited))
                if said is None:
                    return self.trace(False, awaited)
                try:
                    self.feed(said)
                except GrammarError as error:
                    if awaited in outside.handlers:
                        raise
                    return replace(self.trace(False, awaited), error=error)
                continue
            if self.matcher.is_terminated():
                return self.trace(True, None)
            if self.limit is None and self.left > self.kept:
                self.generate(self.left - self.kept, options)
                continue
            self.limit = self.limit or "tokens"
            if not self.wrap_up(options):
                return self.trace(False, None)

    def feed(self, said: str) -> None:
        before = len(self.matcher.text())
        self.matcher.feed(said)
        self.ids += self._encoded(self.matcher.text()[before:].decode())
        self.at_turn = len(self.ids)
        if len(self.steps()) >= self.most_steps:
            self.limit = self.limit or "steps"

    def generate(self, most: int, options: dict[str, Any]) -> None:
        """What the model writes from here, as far as the turn goes."""
        vocabulary = self.matcher.compiled.vocabulary
        ids = torch.tensor([self.ids], device=self.model.device)
        followed = _Followed(self.matcher, len(self.ids))
        enough = _StepLimit(self, len(self.ids))
        output = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            past_key_values=self.cache,
            max_new_tokens=most,
            eos_token_id=list(vocabulary.stop_token_ids),
            pad_token_id=vocabulary.stop_token_ids[0],
            **{
                **options,
                "logits_processor": [*(options.get("logits_processor") or ()), followed],
                "stopping_criteria": [*(options.get("stopping_criteria") or ()), enough],
            },
        )
        drawn = output[0].tolist()
        followed.accept(drawn)
        new = len(drawn) - len(self.ids)
        self.tokens, self.left, self.turns = self.tokens + new, self.left - new, self.turns + 1
        self.ids = drawn[:-1] if self.matcher.is_terminated() else drawn
        if enough.is_met:
            self.limit = self.limit or "steps"

    # ------------------------------------------------------------------------------------------ the shortest way

    def wrap_up(self, options: dict[str, Any]) -> bool:
        """Takes one step on the shortest way to the end of the trace; False where no tokens are left for it.

        A step in progress is ended where it is, if its content may end there; else it is left out.
        """
        turns, plan = self.grammar.turns, self.grammar.turns.plan
        place, text = self._whole_steps()
        after, way = turns.way_to_end(place, text.encode())
        self._rewrite(text)
        if not way:
            return self.matcher.accept_token(self.matcher.compiled.vocabulary.stop_token_ids[0])
        if self.left <= 0:
            return False
        entered = plan.entered(after.place, way[0])
        space = "" if plan.states[way[0]].env else plan.spec.space
        self._rewrite(text + plan.delimiter(way[0], entered, is_first=after.is_first) + space)
        if plan.states[way[0]].env:
            return True
        before = len(read_steps(plan, text, is_first=after.is_first)[0])
        self.generate(max(1, self.left // len(way)), options)
        written = self.matcher.turn[1].decode("utf-8", "ignore")
        steps = read_steps(plan, written, is_first=self._begins(place))[0]
        self._rewrite(written[: steps[before].end])
        return True

    def _whole_steps(self) -> tuple[Any, str]:
        """(the place of the turn, its text up to the end of a step)."""
        place, data = self.matcher.turn
        text, plan = data.decode("utf-8", "ignore"), self.grammar.turns.plan
        steps = read_steps(plan, text, is_first=self._begins(place))[0]
        if not steps or self._may_be_left(text, steps[-1]):
            return place, text if steps else ""
        return place, text[: steps[-2].end] if len(steps) > 1 else ""

    def _may_be_left(self, text: str, step: Step) -> bool:
        """Whether the last step of a turn's text may end there, as far as that is easily told."""
        plan, content = self.grammar.turns.plan, self.grammar.turns.plan.states[step.state].content
        if step.is_bare or text.encode() != self.matcher.turn[1]:
            return False
        if isinstance(content, FreeText):
            return True
        probe = self.matcher.fork()
        return probe.is_accepting() or any(probe.accept_bytes(plan.spec.separator + mark.text) for mark in plan.marks)

    def _begins(self, place: Any) -> bool:
        return place is None or place.is_first

    def _rewrite(self, text: str) -> None:
        """Makes a text that of the turn in progress; of its tokens, those stay that are still right."""
        if text.encode() == self.matcher.turn[1]:
            return
        self.matcher.rollback(self.matcher.n_turn_steps)
        accepted = self.matcher.accept_bytes(text) or not text
        assert accepted, f"a text that was generated is refused: {text!r}"
        self.ids = self.ids[: self.at_turn] + self._encoded(text)
        self.cache = self._new_cache()

    def _encoded(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _new_cache(self) -> Any:
        return None if self.model.config.is_encoder_decoder else DynamicCache()

    # ------------------------------------------------------------------------------------------ the trace

    def steps(self) -> list[TracedStep]:
        return _traced(self.grammar, self.matcher.text().decode("utf-8", "ignore"))[0]

    def trace(self, complete: bool, awaited: str | None) -> AgentTrace:
        text = self.matcher.text().decode("utf-8", "ignore")
        steps, ends = _traced(self.grammar, text)
        if not complete:
            # In the middle of a turn, the last content may not be whole; without one, the step before it is.
            is_partial = awaited is None and len(steps) == len(ends) and not (steps and steps[-1].is_outside)
            steps = steps[: len(steps) - is_partial]
            text = text[: ends[len(steps) - 1]] if steps else ""
        stopped = self.limit or ("end" if complete else "outside")
        return AgentTrace(tuple(steps), text, complete, stopped, awaited, self.tokens, self.turns)


def _beginning(tokenizer: Any) -> list[int]:
    """What a model is asked where there is no prompt: a model has to be asked something."""
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return list(tokenizer("")["input_ids"]) or [0 if first is None else first]


def _traced(grammar: AgentGrammar, text: str) -> tuple[list[TracedStep], list[int]]:
    """The steps of a text, but for one that has no content yet; where each ends, with that of such a one."""
    plan = grammar.turns.plan
    found: list[TracedStep] = []
    ends: list[int] = []
    named: dict[str, str] = {}
    for step in read_steps(plan, text)[0]:
        ends.append(step.end)
        state = plan.states[step.state]
        if step.is_bare:
            continue
        content = text[step.begin : step.end]
        tool, value = None, None
        if isinstance(state.content, ToolName):
            tool = named[state.name] = content
        elif isinstance(state.content, ToolArguments):
            tool, value = named.get(state.content.of), _value(content)
        found.append(TracedStep(state.name, content, state.env, tool, value))
    return found, ends


def _value(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


class _Followed(LogitsProcessor):
    """Keeps one row inside the grammar of a matcher, which it takes along. length : tokens that were there before."""

    def __init__(self, matcher: Matcher, length: int) -> None:
        self.matcher, self.length = matcher, length
        self.bitmask = allocate_token_bitmask(1, matcher.compiled.vocabulary.size)

    def accept(self, ids: Sequence[int]) -> None:
        for token in ids[self.length :]:
            if not self.matcher.accept_token(token):
                raise ConflictError(f"token {token} was chosen where the grammar forbids it, by another processor", 0)
        self.length = len(ids)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        self.accept(input_ids[0].tolist())
        masked = scores.clone()
        self.matcher.fill_next_token_bitmask(self.bitmask)
        apply_token_bitmask_inplace(masked, self.bitmask)
        return masked  # type: ignore[return-value]


class _StepLimit(StoppingCriteria):
    """Ends a turn that has come to too many steps."""

    def __init__(self, loop: _Loop, length: int) -> None:
        self.loop, self.length = loop, length
        self.is_met = False

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:
        if (input_ids.shape[1] - self.length) % _CHECKED == 0:
            self.is_met = self.loop.limit is None and len(self.loop.steps()) > self.loop.most_steps
        return torch.full((len(input_ids),), self.is_met, device=input_ids.device)  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------ from outside


class _Outside:
    """What is said from outside. results : of the tools so far, in the order of their steps."""

    def __init__(
        self,
        spec: AgentSpec,
        tools: dict[str, Callable[..., Any]],
        handlers: dict[str, Handler],
        question: str | None,
        timeout: float,
    ) -> None:
        self.spec, self.tools, self.handlers, self.question, self.timeout = spec, tools, handlers, question, timeout
        self.results: list[str] = []

    def said(self, state: str, trace: AgentTrace) -> str | None:
        """What is said in a state; None if nobody knows."""
        if state in self.handlers:
            said = self.handlers[state](trace)
            if not isinstance(said, str):
                raise TypeError(f"the handler of {state} says a str, not {type(said).__name__}")
            return self.neutral(said)
        calls = self.calls(trace.steps)
        if calls:
            results = [self._labelled(step, self.result(step, inputs), len(calls)) for step, inputs in calls]
            return self.neutral("\n".join(results))
        if not trace.steps and self.question is not None:
            return self.neutral(self.question)
        return None

    def calls(self, steps: Sequence[TracedStep]) -> list[tuple[TracedStep, TracedStep | None]]:
        """The steps since the last text from outside that name a tool, each with the one that has its arguments."""
        since = list(steps)
        while any(step.is_outside for step in since):
            since.pop(0)
        named = [at for at, step in enumerate(since) if isinstance(self.spec.state(step.state).content, ToolName)]
        return [
            (since[at], self._inputs(since[at], since[at + 1 : until]))
            for at, until in zip(named, [*named[1:], len(since)])
        ]

    def _inputs(self, step: TracedStep, behind: Sequence[TracedStep]) -> TracedStep | None:
        """Of the steps up to the next that names a tool, the one with its arguments; else the first, if any."""
        for other in behind:
            content = self.spec.state(other.state).content
            if isinstance(content, References) or (isinstance(content, ToolArguments) and content.of == step.state):
                return other
        return behind[0] if behind else None

    def result(self, step: TracedStep, inputs: TracedStep | None) -> str:
        """What a tool says, or why it does not."""
        tool = self.tools[step.content]
        if inputs is None:
            said = _answer(tool, (), {}, self.timeout)
        elif inputs.tool is not None:
            said = _answer(tool, (), inputs.value, self.timeout)
        else:
            said = _answer(tool, (self._resolved(inputs),), {}, self.timeout)
        self.results.append(said)
        return said

    def _resolved(self, step: TracedStep) -> str:
        """A text in which references to earlier steps have become what these have said."""
        content = self.spec.state(step.state).content
        if not isinstance(content, References):
            return step.content
        before, _, behind = content.mark.partition(NUMBER)
        pattern = f"{re.escape(before)}([0-9]+){re.escape(behind)}"
        return re.sub(pattern, lambda found: self.results[int(found[1]) - 1], step.content)

    def _labelled(self, step: TracedStep, result: str, n: int) -> str:
        """The last result, which is one of n; of several, each says whose it is."""
        if n == 1:
            return result
        mark = self.spec.state(step.state).text
        if NUMBER not in mark:
            return f"{step.content}: {result}"
        return f"{mark.partition(NUMBER)[0]}{len(self.results)} {result}"

    def neutral(self, text: str) -> str:
        """A text in which no step begins: each delimiter gets a space behind its first character; a text that UTF-8
        can write, and not an empty one."""
        text = text.encode("utf-8", "replace").decode()
        marks = self.spec.plan.any_mark
        for _ in range(8):
            if marks.search(text) is None:
                break
            text = marks.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        # Delimiters that have spaces in them, or are single characters, are left out.
        while marks.search(text) is not None:
            text = marks.sub("", text)
        return text or "(nothing)"


def _answer(tool: Callable[..., Any], values: tuple[Any, ...], named: Any, timeout: float) -> str:
    """What a tool says, as text; an exception and a timeout are told, too."""
    said: list[str] = []

    def call() -> None:
        try:
            result = tool(*values, **(named or {}))
            said.append(result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str))
        except BaseException as error:  # SystemExit, too: it would end this thread alone
            said.append(_told(error))

    # A thread cannot be ended from outside; that of a tool which hangs does not keep the process alive.
    thread = threading.Thread(target=call, name="bridle tool", daemon=True)
    thread.start()
    thread.join(timeout)
    return said[0] if said else f"Error: no answer within {timeout:g} seconds"


def _told(error: BaseException) -> str:
    """An exception as a text, also if it cannot be told as one."""
    try:
        return f"Error: {type(error).__name__}: {error}"
    except Exception:
        return f"Error: {type(error).__name__}"
