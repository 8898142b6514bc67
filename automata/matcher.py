"""A matcher: one text, token by token, in a compiled grammar.

Its state is a stack reference (an integer); its history a chain of (history before, reference before, step), so fork
shares it and rollback drops links. A step is a token id, or the bytes of one `accept_bytes` call.

A special token is a step by its spelling (special_tokens.py), which no text contains: `accept_bytes` never takes one,
and it adds nothing to the text. A stop token ends the text wherever that is a sentence. Elsewhere it may be one that
the grammar names: in the middle of a text it ends nothing, as the last of it it does.

Where a text is written in turns (turns.py), a sentence is one turn, and `feed` begins the next: one step, of the bytes
that came from outside.

INVARIANT: a reference is only meaningful together with the machine that made it; when the compiled grammar has moved to
a new machine, the matcher replays its history, as far as the turn in progress goes, there before it computes anything
new.
Cost, memoised: 0.4 us to accept, 1.2 us to fill a row of 128,256 tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from .bitmask_rows import allocate_token_bitmask, as_array, bad_shape, check_row, tokens_in, write_stop_tokens
from .compiled import Compiled
from .errors import LimitError
from .forced_text import forced_text, forced_tokens
from .machine import Machine
from .mask_kernels import BAD_SHAPE, NOT_MADE, fill_known, only_token
from .rejections import Rejection, expected_at, token_rejection
from .special_tokens import SpecialToken, text_part
from .step_kernels import UNKNOWN, known_step
from .table_kernels import DEAD, OK
from .temperature import temperature_of
from .token_budget import Plans, TokenBudget, is_far
from .turns import Fed, Turn, Turns

__all__ = ["Matcher", "encoded"]

_Answer = TypeVar("_Answer")
History: TypeAlias = "tuple[History, int, int | bytes] | None"


class Matcher:
    """One text in a compiled grammar. Belongs to one thread at a time; any number may share the grammar.

    max_tokens : how many tokens the text may be, the stop token included (None: any number). Masks then leave out
        tokens after which it could not be completed in time, as far as that is known (token_budget.py), and never all:
        the text is complete when they are spent. Raises LimitError where no text is so few tokens, and warns where only
        a search could tell.
    """

    __slots__ = ("_address", "_budget", "_history", "_machine", "_ref", "_terminated", "_turn", "compiled")

    def __init__(self, compiled: Compiled, *, max_tokens: int | None = None) -> None:
        self.compiled = compiled
        self._machine: Machine = compiled.machine
        self._address = self._machine.address
        self._ref: int = self._machine.start
        self._history: History = None
        self._terminated = 0  # stop tokens accepted
        self._turn = Turn(compiled)
        self._budget: TokenBudget | None = None
        if max_tokens is not None:
            self._budget = self._plan(Plans.begin, self._ref, max_tokens)

    # ------------------------------------------------------------------------------------------------ masks

    def fill_next_token_bitmask(self, bitmask: Any, row: int = 0) -> bool:
        """Writes row `row` of an int32 bitmask [rows, ceil(vocabulary.size / 32)], whole: bit i % 32 of word i // 32
        says whether token i may come next.

        Takes a NumPy array or a CPU torch tensor. Returns whether the mask must be applied: False if it forbids
        nothing.
        """
        if type(bitmask) is not np.ndarray:
            bitmask = as_array(bitmask)
        if self._terminated:
            return self._fill_stops(bitmask, row)
        try:
            status = fill_known(self._address, self._ref, bitmask, row)
        except TypeError:
            raise bad_shape(bitmask, row, self.compiled.vocabulary.size) from None
        if status != OK:
            if status == BAD_SHAPE:
                raise bad_shape(bitmask, row, self.compiled.vocabulary.size)
            self._prepare()
            status = fill_known(self._address, self._ref, bitmask, row)
            assert status == OK, "a mask that was made is not there"
        if self._budget is not None:
            self._narrow(bitmask, row)
        return True

    def fill_known_bitmask(self, bitmask: Any, row: int = 0) -> bool:
        """As `fill_next_token_bitmask` where the mask is memoised; else writes nothing and returns False, at once."""
        if self._terminated:
            return self._fill_stops(as_array(bitmask), row)
        if self.is_narrowed:
            return False
        if type(bitmask) is not np.ndarray:
            bitmask = as_array(bitmask)
        try:
            status = fill_known(self._address, self._ref, bitmask, row)
        except TypeError:
            raise bad_shape(bitmask, row, self.compiled.vocabulary.size) from None
        if status == BAD_SHAPE:
            raise bad_shape(bitmask, row, self.compiled.vocabulary.size)
        return bool(status == OK)

    def fill_reference_bitmask(self, bitmask: Any, row: int = 0) -> bool:
        """The slow twin of `fill_next_token_bitmask`, for tests: exact by another way, and 100 times slower.

        Every token is stepped over byte by byte from the present state; nothing that masks have in store is read or
        left there. Takes, writes and returns the same.
        """
        bitmask = as_array(bitmask)
        if self._terminated:
            return self._fill_stops(bitmask, row)
        self._move()
        check_row(bitmask, row, self.compiled.vocabulary.size)
        self._ask(self._machine.write_reference_mask, self._ref, bitmask, row)
        return True

    def only_token(self) -> int | None:
        """The token that comes next whatever the model says, as the mask has it; None where several may come.

        Not what `forced_tokens` tells: a text that can go on in one way alone can still be cut into tokens in several.
        """
        if self._terminated:
            stops = self.compiled.vocabulary.stop_token_ids
            return stops[0] if len(stops) == 1 else None
        if self.is_narrowed:
            bitmask = allocate_token_bitmask(1, self.compiled.vocabulary.size)
            self.fill_next_token_bitmask(bitmask)
            allowed = tokens_in(bitmask[0])
            return int(allowed[0]) if len(allowed) == 1 else None
        token = only_token(self._address, self._ref)
        if token == NOT_MADE:
            self._prepare()
            token = only_token(self._address, self._ref)
        return token if token >= 0 else None

    @property
    def is_narrowed(self) -> bool:
        """Whether a budget leaves tokens out of the grammar's mask, or may do so for all that is known."""
        budget = self._budget
        return budget is not None and not self._terminated and not is_far(self._machine.plans, self._ref, budget.left)

    def _narrow(self, bitmask: np.ndarray, row: int) -> None:
        """Leaves out of a mask that was filled what the budget has no room for."""
        if not self.is_narrowed:
            return
        self._move()
        allowed = self._plan(Plans.allowed, self._ref, self._budget)
        if allowed is not None:
            bitmask[row] = allowed

    def _plan(self, question: Callable[..., _Answer], *arguments: Any, machine: Machine | None = None) -> _Answer:
        """Asks what configurations of a machine need (None: of that which the matcher is on).

        INVARIANT: the matcher does not move, as the arguments name configurations of this machine.
        """
        machine = machine or self._machine
        with machine.store.lock:
            return self._ask(question, Plans(machine, self.compiled.vocabulary), *arguments)

    def _prepare(self) -> None:
        """Makes the mask of the present state."""
        self._move()
        try:
            self._machine.make_mask(self._ref)
        except LimitError as error:
            raise self._placed(error) from None

    def _fill_stops(self, bitmask: np.ndarray, row: int) -> bool:
        check_row(bitmask, row, self.compiled.vocabulary.size)
        write_stop_tokens(bitmask[row], self.compiled.vocabulary)
        return True

    # ------------------------------------------------------------------------------------------------ accepting

    def accept_token(self, token: int) -> bool:
        """One step by a token id. False leaves the state as it was."""
        if self._terminated or (self._budget is not None and not self._budget.left):
            return False
        ref = self._ref
        try:
            to = known_step(self._address, ref, token)
        except OverflowError:
            return False
        if to == UNKNOWN:
            to = self._step(token)
            ref = self._ref
        if to == DEAD or (self._budget is not None and not self._spend(token, to)):
            return False
        self._history = (self._history, ref, token)
        self._ref = to
        return True

    def _spend(self, token: int, to: int) -> bool:
        """Takes a token that leads to a configuration from the budget. False, and nothing taken, if it is left out."""
        budget = self._budget
        assert budget is not None
        if self._terminated or is_far(self._machine.plans, self._ref, budget.left):
            self._budget = TokenBudget(budget.left - 1, None, budget)
            return True
        spent = self._plan(Plans.after, self._ref, budget, token, to)
        self._budget = spent or budget
        return spent is not None

    def _push(self, step: bytes, to: int, tokens: int = 0) -> None:
        """A step by what is no token id, which counts for so many."""
        if self._budget is not None:
            self._budget = self._plan(Plans.entered, to, self._budget, tokens)
        self._history = (self._history, self._ref, step)
        self._ref = to

    def _step(self, token: int) -> int:
        """The configuration after a token that is not memoised; stop tokens and ids that no text has end up here."""
        vocabulary = self.compiled.vocabulary
        if token in vocabulary.stop_token_ids:
            self._move()
            to, ends = self._ask(self._after_stop, self._machine, self._ref, token)
            self._terminated += ends
            return to
        if not vocabulary.reading(token):
            return DEAD
        self._move()
        try:
            return self._machine.step(self._ref, token)
        except LimitError as error:
            raise self._placed(error) from None

    def _after_stop(self, machine: Machine, ref: int, token: int) -> tuple[int, bool]:
        """(the configuration after a stop token, or DEAD; whether it has ended the text).

        No memo has it: what a stop token is depends on whether the text is a sentence.
        """
        if machine.may_end(ref):
            return ref, True
        spelling = self.compiled.vocabulary.reading(token)
        to, length = machine.step_bytes(ref, spelling)
        if not spelling or length < len(spelling):
            return DEAD, False
        allowed = machine.next_bytes(to)
        return to, bool(allowed[256]) and not allowed[:256].any()

    def _ask(self, question: Callable[..., _Answer], *arguments: Any) -> _Answer:
        """Asks the machine; a budget that is met in answering gets the place in the text."""
        try:
            return question(*arguments)
        except LimitError as error:
            raise self._placed(error) from None

    def _placed(self, error: LimitError) -> LimitError:
        """A budget that was met, with the place in the text."""
        if error.place is None:
            error.place = f"byte {len(self.text())} of the text"
        return error

    def accept_bytes(self, data: bytes | str, *, tokens: int = 0) -> bool:
        """One step by text, however many tokens it would be. False leaves the state as it was.

        tokens : what it counts for in a budget; what it leads to may need more than is left then (`least_tokens`).
        """
        if self._terminated:
            return False
        data = encoded(data)
        to, length = self._step_bytes(data)
        if length < len(data):
            return False
        self._push(data, to, tokens)
        return True

    def _step_bytes(self, data: bytes) -> tuple[int, int]:
        """As Machine.step_bytes, from the present configuration, and no further than text goes."""
        self._move()
        return self._ask(self._machine.step_bytes, self._ref, data[: text_part(data)])

    def accept_special(self, token: SpecialToken) -> bool:
        """One step by a special token as grammars name it, whatever the vocabulary has. False leaves the state as it
        was.

        For judging texts; a name and an id are different tokens here, even if a vocabulary has one token of both.
        """
        return self.accept_spelling(token.spelling)

    def accept_spelling(self, spelling: bytes) -> bool:
        """One step by the spelling of a special token (special_tokens.py). False leaves the state as it was."""
        if self._terminated:
            return False
        self._move()
        to, length = self._ask(self._machine.step_bytes, self._ref, spelling)
        if length < len(spelling):
            return False
        self._push(spelling, to, 1)
        return True

    def accept_prefix(self, data: bytes | str) -> int:
        """One step by as much of the text as is allowed; returns its length in bytes (no step for none)."""
        if self._terminated:
            return 0
        data = encoded(data)
        to, length = self._step_bytes(data)
        if length:
            self._push(data[:length], to)
        return length

    def validate_tokens(self, tokens: Sequence[int]) -> int:
        """How many of the tokens could be accepted one after the other. The state stays as it is."""
        probe = self.fork()
        for n, token in enumerate(tokens):
            if not probe.accept_token(token):
                return n
        return len(tokens)

    def allot(self, max_tokens: int, *, warn: bool = True) -> None:
        """Gives the text from here on a budget of so many tokens, as the constructor does for all of it.

        Taking back steps before this takes the budget back, too. Raises as the constructor does, and warns unless told
        not to (silencing Python's warnings is nothing for threads).
        """
        self._move()
        self._budget = self._plan(Plans.begin, self._ref, max_tokens, warn)

    # ------------------------------------------------------------------------------------------------ history

    def rollback(self, steps: int = 1) -> None:
        """Takes back the last steps (accepted calls), stop tokens too. ValueError for more than there are."""
        if steps < 0:
            raise ValueError(f"cannot roll back {steps} steps")
        history, ref, budget = self._history, self._ref, self._budget
        turn, machine, stops = self._turn, self._machine, self._terminated
        for taken in range(steps):
            if history is None:
                raise ValueError(f"cannot roll back {steps} steps: only {taken} were accepted")
            history, ref, step = history
            budget = None if budget is None else budget.before
            stops = 0
            if type(step) is Fed:
                turn, machine, stops = step.turn, step.machine, step.terminated
        self._history, self._ref, self._budget, self._terminated = history, ref, budget, stops
        self._turn, self._machine, self._address = turn, machine, machine.address

    def fork(self) -> Matcher:
        """An independent matcher in the same state."""
        twin = Matcher.__new__(Matcher)
        twin.compiled = self.compiled
        twin._machine = self._machine
        twin._address = self._address
        twin._ref = self._ref
        twin._history = self._history
        twin._terminated = self._terminated
        twin._turn = self._turn
        twin._budget = self._budget
        return twin

    def reset(self) -> None:
        """Back to the empty text."""
        self._machine = self.compiled.machine
        self._address = self._machine.address
        self._ref = self._machine.start
        self._history = None
        self._terminated = 0
        self._turn = Turn(self.compiled)
        self._budget = None if self._budget is None else self._budget.first

    def text(self) -> bytes:
        """The text that was accepted so far, and fed; special tokens have none."""
        return self._text_of(self._steps())

    def _text_of(self, steps: Iterable[int | bytes]) -> bytes:
        tokens = self.compiled.vocabulary.tokens
        return b"".join(
            step[: text_part(step)] if isinstance(step, bytes) else tokens[step] if step < len(tokens) else b""
            for step in steps
        )

    def _steps(self) -> list[int | bytes]:
        """The steps accepted since the start, in order."""
        return self._steps_since(None)[1]

    def _steps_since(self, kind: type | None) -> tuple[History, list[int | bytes]]:
        """(the last step of a kind with all before it, the steps behind it in order); kind None: all steps."""
        steps = []
        history = self._history
        while history is not None and (kind is None or type(history[2]) is not kind):
            history, _, step = history
            steps.append(step)
        steps.reverse()
        return history, steps

    @property
    def configuration(self) -> tuple[int, int]:
        """What the state is, to be compared with that of other matchers of the same compiled grammar."""
        return self._address, self._ref

    @property
    def machine_number(self) -> int:
        """The number of the machine that the state is of, which no other machine of the process has."""
        return self._machine.number

    @property
    def last_step(self) -> int | bytes | None:
        """The step accepted last: a token, or the bytes that were accepted or fed; None before the first."""
        return None if self._history is None else self._history[2]

    @property
    def n_steps(self) -> int:
        """Steps accepted since the start: what `rollback` can take back."""
        return len(self._steps())

    def _move(self) -> None:
        """Follows the compiled grammar to its present machine, by replaying the turn in progress there."""
        machine = self._turn.compiled.machine
        if machine is self._machine:
            return
        ref = self._turn.start(machine)
        moved: Any
        moved, steps = self._steps_since(Fed)
        for step in steps:
            before = ref
            if isinstance(step, bytes):
                ref, _ = machine.step_bytes(ref, step)
            elif step in self.compiled.vocabulary.stop_token_ids:
                ref, _ = self._after_stop(machine, ref, step)
            else:
                ref = machine.step(ref, step)
            moved = (moved, before, step)
        machine.admit()
        self._machine, self._address, self._ref, self._history = machine, machine.address, ref, moved

    # ------------------------------------------------------------------------------------------------ turns

    def pending_state(self) -> str | None:
        """What the text awaits from outside, by name (`Grammar.from_agent`); None while it is generated or has ended.

        While something is awaited, masks allow stop tokens alone, and `feed` goes on. O(length of the turn) then.
        """
        turns: Turns | None = getattr(self.compiled.grammar, "turns", None)
        if turns is None:
            return None
        if not self._terminated:
            allowed = self.next_bytes()
            if not allowed[256] or allowed[:256].any():
                return None
        return turns.pending(*self.turn)

    @property
    def turn(self) -> tuple[Any, bytes]:
        """(the place that the grammar has given the turn in progress, None for the first; the text of the turn)."""
        return self._turn.place, self._text_of(self._steps_since(Fed)[1])

    @property
    def n_turn_steps(self) -> int:
        """Steps accepted since the turn in progress began."""
        return len(self._steps_since(Fed)[1])

    def feed(self, text: str) -> None:
        """One step by what comes from outside, behind which generation goes on, also where a stop token had ended it.

        The bytes that are added are those of the text, with the delimiter before it where that was implied.
        Raises ValueError where nothing is awaited; GrammarError, with the place, for a text that may not stand there or
        that nothing could follow. Either leaves the state as it was.
        """
        if self.pending_state() is None:
            raise ValueError("no text from outside is awaited here: pending_state() is None")
        turns: Turns = self.compiled.grammar.turns  # type: ignore[attr-defined]
        outside = turns.after(*self.turn, text)
        turn = Turn.behind(self.compiled, outside)
        machine = turn.compiled.machine
        ref = turn.start(machine)
        if self._budget is not None:
            self._budget = self._plan(Plans.entered, ref, self._budget, 0, machine=machine)
        self._history = (self._history, self._ref, Fed.of(outside.text, self._turn, self._machine, self._terminated))
        self._turn, self._machine, self._address, self._ref = turn, machine, machine.address, ref
        self._terminated = 0

    # ------------------------------------------------------------------------------------------------ questions

    @property
    def remaining_tokens(self) -> int | None:
        """Tokens that are left of `max_tokens`, for a stop token among them; None without a budget."""
        return None if self._budget is None else self._budget.left

    @property
    def closes_slowly(self) -> bool:
        """Whether masks near the end of a budget, or new ones before, may take many milliseconds: the text is cut by
        greedy leaves, as those of Lark grammars are, so that completions are searched for. False without a budget."""
        if self._budget is None:
            return False
        self._move()
        return self._plan(Plans.is_slow, self._ref)

    def least_tokens(self) -> int:
        """Tokens that are enough to complete the text from here on, a stop token included; 0 once it has ended.

        Fewer may do: an upper bound of the true minimum. Raises LimitError where no completion was found.
        """
        if self._terminated:
            return 0
        self._move()
        return self._plan(Plans.enough, self._ref, self._budget)

    def closing_tokens(self) -> int | None:
        """An upper bound of `least_tokens` that is found quickly: a sum of what the text's parts need.

        None where only a search could tell.
        """
        if self._terminated:
            return 0
        self._move()
        return self._plan(Plans.summed, self._ref)

    def is_accepting(self) -> bool:
        """Whether the text so far is a sentence; where texts are written in turns, whether the turn may end."""
        self._move()
        return self._ask(self._machine.may_end, self._ref)

    def is_terminated(self) -> bool:
        """Whether a stop token was accepted; from then on only stop tokens are allowed, and accept is False."""
        return self._terminated > 0

    def forced_bytes(self) -> bytes:
        """The text that must come next, whatever is generated: empty where there is a choice or the text may end, or
        where a special token is what must come."""
        if self._terminated:
            return b""
        self._move()
        return self._ask(forced_text, self._machine, self._ref)[0]

    def forced_tokens(self, tokenizer: Any) -> list[int]:
        """The forced text as the tokenizer writes it, and the special tokens that are forced between, before and after.

        The last token of a text is left out where free text may follow, which could change that token.
        tokenizer : anything with `encode(text, add_special_tokens=False)` or `encode(text)` giving ids.
        """
        if self._terminated:
            return []
        self._move()
        ids = self._ask(forced_tokens, self._machine, self._ref, self.compiled.vocabulary, tokenizer)
        return ids[: self.validate_tokens(ids)]

    def next_bytes(self) -> np.ndarray:
        """int32[257]: 1 for each byte that may come next; [256]: whether the text may end here.

        [254] and [255]: whether a special token may come, which begins with one of these bytes that no text has.
        """
        self._move()
        return self._ask(self._machine.next_bytes, self._ref)

    def captures(self) -> dict[str, str | list[str]]:
        """What the named parts of the text are, as `Grammar.captures` says; {} where the grammar names none.

        Special tokens are shown in them by name. Read off the whole text when it is called: 2 to 8 us for a byte, and
        nothing before.
        """
        found = getattr(self.compiled.grammar, "captures_of", None)
        return {} if found is None else found(*self._shown())

    def _shown(self) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        """The text with the names of special tokens in it; where each of these begins and ends, and its spelling."""
        self._move()
        vocabulary = self.compiled.vocabulary
        steps = self._steps()
        if self._terminated and self._history is not None and self._machine.may_end(self._history[1]):
            del steps[-1]  # a stop token that is no part of the sentence
        text, places = bytearray(), []
        for step in steps:
            if isinstance(step, bytes):
                text += step[: text_part(step)]
            elif step not in vocabulary.special_names:
                text += vocabulary.tokens[step]
            else:
                begin = len(text)
                text += (vocabulary.special_names[step] or f"<[{step}]>").encode("utf-8", "replace")
                places.append((begin, len(text), vocabulary.reading(step)))
        return bytes(text), places

    def temperature(self) -> float | None:
        """The temperature of the innermost part of the grammar that has one and could go on with the next byte.

        The highest, where several parts could; None where none has one. 0.2 us where it was asked before, else 20.
        """
        if self._terminated:
            return None
        self._move()
        known = self._machine.temperatures
        if self._ref not in known:
            known[self._ref] = self._ask(temperature_of, self._machine, self._ref)
        return known[self._ref]

    @property
    def may_have_temperature(self) -> bool:
        """Whether `temperature` can be anything but None, as far as is known once the mask is made. Costs nothing."""
        return self.compiled.is_warm or bool(self._machine.warm_rows)

    def explain(self, what: int | bytes | str) -> Rejection | None:
        """Why a token or a piece of text may not come next; None if it may."""
        self._move()
        if isinstance(what, int):
            return self._explain_token(what)
        data = encoded(what)
        to, length = self._step_bytes(data)
        if length == len(data):
            return None
        expected = self._ask(expected_at, self._machine, to, self.compiled.vocabulary)
        return Rejection(length, f"{data[length : length + 1]!r} may not come here", expected)

    def _explain_token(self, token: int) -> Rejection | None:
        if self._terminated:
            return Rejection(0, "the text has ended: a stop token was accepted", ())
        rejection = self._ask(token_rejection, self._machine, self._ref, self.compiled.vocabulary, token)
        if rejection is not None or self._budget is None or self.fork().accept_token(token):
            return rejection
        if not self._budget.left:
            return Rejection(0, "the text's tokens are spent", ())
        left = self._budget.left - 1
        return Rejection(0, f"the text could not be completed with the {left} tokens that are left then", ())


def encoded(text: bytes | str) -> bytes:
    """A text as bytes; TypeError for what is neither. A lone surrogate becomes bytes that no grammar allows."""
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    try:
        return bytes(memoryview(text))
    except TypeError:
        raise TypeError(f"a text is str or bytes, not {type(text).__name__}: {text!r:.80}") from None
