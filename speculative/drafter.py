"""All sources of a text make one draft, and what came of it is learnt from.

A step: every source that is worth asking proposes; the trees are merged (`merge_drafts`), each node's probability being
what proposals like it were worth; from the likeliest on, nodes that the grammar allows after their parents are kept,
while one more raises the expected tokens per second. A draft can so be empty: then the forward is a plain one.

When to ask. A source that costs more time than it saves is asked less often, up to every 64th step, until it is right
again; its cost is measured. Steps are counted from text to text, so that short ones do not silence it for good. Sources
that cost less than a hundredth of a forward are asked always.

INVARIANT: nodes stand parents first, likeliest path first; each is allowed by the grammar after its path.
Cost of a step, 64 nodes: see docs/speculation.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..automata.errors import LimitError
from ..automata.kernel import compile_all
from ..automata.matcher import Matcher
from .acceptance import Acceptance, ForwardCost
from .draft_kernels import merge_drafts
from .draft_tree import NO_DRAFT, DraftTree, joined
from .sources import DraftContext, DraftSource, DraftStream, Request

__all__ = ["Draft", "DraftStats", "Drafter", "TextDrafter"]

_FREE_SHARE = 0.01  # of a forward: what a source may always cost
_RAREST = 64  # steps between two questions to a source, at the most
_FADE = 0.9  # per question, of what a source's tokens were
_ANY = 1 << 31  # tokens, where nobody says how many the model has


@dataclass(slots=True)
class DraftStats:
    """Counts over all texts of a Drafter.

    steps : forwards that verified, each row of a batch for itself. drafted : nodes verified; accepted : of them, right.
    wasted : the rest. forbidden : nodes that the grammar cut before they cost anything (or
    that are no tokens of the model). by_source : accepted, by name.
    proposed_by : verified nodes, by name. draft_us : microseconds that proposing, merging and cutting took.
    """

    steps: int = 0
    drafted: int = 0
    accepted: int = 0
    forbidden: int = 0
    by_source: dict[str, int] = field(default_factory=dict)
    proposed_by: dict[str, int] = field(default_factory=dict)
    draft_us: float = 0.0

    @property
    def wasted(self) -> int:
        return self.drafted - self.accepted


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be verified: a tree, and the grammar's state after each node (None without a grammar)."""

    tree: DraftTree
    matchers: list[Matcher | None]

    def __len__(self) -> int:
        return len(self.tree)


_EMPTY = Draft(NO_DRAFT, [])


class Drafter:
    """The sources, and what is known of them; lives as long as its user likes.

    most : nodes of a draft, at the most. cost : of forwards; shared by what decodes with one model.
    branches : whether drafts are trees; else each is the likeliest path, for what verifies no more than that.
    """

    def __init__(
        self,
        sources: Sequence[DraftSource],
        most: int = 64,
        cost: ForwardCost | None = None,
        *,
        branches: bool = True,
    ) -> None:
        names = [source.name for source in sources]
        if len(set(names)) != len(names):
            raise ValueError(f"each source of a Drafter needs a name of its own, but they are {', '.join(names)}")
        if not 0 <= most <= 1024:
            raise ValueError(f"a draft has 0 to 1024 nodes at the most, not {most}")
        self.sources, self.names, self.most, self.branches = list(sources), names, most, branches
        self.acceptance, self.cost = Acceptance(len(sources)), cost or ForwardCost()
        self.worth = [_Worth() for _ in sources]
        self.stats = DraftStats()

    def begin(self, request: Request, stop_tokens: Sequence[int] = (), size: int = _ANY) -> TextDrafter:
        """Drafts for one text. stop_tokens : nothing is drafted behind one. size : how many tokens the model has."""
        compile_all()
        streams = [source.begin(request) for source in self.sources]
        return TextDrafter(self, streams, frozenset(stop_tokens), size)


class _Worth:
    """What asking a source has cost and gained: seconds and accepted tokens per question, fading.

    waited : steps since the last question, of the text that was last at work.
    """

    __slots__ = ("asked", "gained", "seconds", "waited")

    def __init__(self) -> None:
        self.asked, self.seconds, self.gained, self.waited = 0, 0.0, 1.0, 0

    def interval(self, forward: float) -> int:
        """Every how many steps it is worth asking."""
        free = _FREE_SHARE * forward
        if self.asked < 8 or not free or self.seconds <= free or self.gained * forward >= self.seconds:
            return 1
        return min(_RAREST, 1 + int(self.seconds / free))

    def learn(self, seconds: float) -> None:
        self.asked += 1
        if self.asked <= 8:  # among them what is made once
            self.seconds = seconds if self.asked == 1 else min(self.seconds, seconds)
        else:  # more than four times as much: another program was in the way
            self.seconds += 0.1 * (min(seconds, 4 * self.seconds) - self.seconds)


class TextDrafter:
    """The sources at work on one text."""

    def __init__(
        self, drafter: Drafter, streams: list[DraftStream], stop_tokens: frozenset[int], size: int = _ANY
    ) -> None:
        self._drafter, self._streams, self._stops, self._size = drafter, streams, stop_tokens, size
        self._waited = [worth.waited for worth in drafter.worth]  # each row of a batch counts for itself
        self._foreign = [not type(stream).__module__.startswith(f"{__package__}.") for stream in streams]
        self._asked: list[int] = []
        self._candidates = NO_DRAFT
        self._forbidden: set[int] = set()

    def propose(self, context: DraftContext, room: int) -> Draft:
        """The draft for the next forward. room : how many tokens the text may still have after the next one."""
        started = time.perf_counter()
        drafter = self._drafter
        trees: list[DraftTree] = []
        owners: list[int] = []
        self._asked = []
        budget = 2 * drafter.most
        for i, stream in enumerate(self._streams if drafter.most and room > 0 else ()):
            worth = drafter.worth[i]
            self._waited[i] += 1
            worth.waited = self._waited[i]
            if worth.waited < worth.interval(drafter.cost.seconds):
                continue
            self._waited[i] = worth.waited = 0
            began = time.perf_counter()
            tree = stream.propose(context, budget)
            worth.learn(time.perf_counter() - began)
            self._asked.append(i)
            if self._foreign[i]:
                self._check(tree, i)
            if len(tree):
                trees.append(tree)
                owners.append(i)
        self._candidates, paths = self._merged(trees, owners)
        draft = self._chosen(context.matcher, paths, room) if len(self._candidates) else _EMPTY
        drafter.stats.draft_us += 1e6 * (time.perf_counter() - started)
        return draft

    def _check(self, tree: DraftTree, source: int) -> None:
        """Kernels trust a tree; one that a user's source has made may be none."""
        try:
            tree.verify()
        except ValueError as error:
            raise ValueError(f"the source {self._drafter.names[source]!r} proposes what is no draft: {error}") from None

    def _merged(self, trees: list[DraftTree], owners: list[int]) -> tuple[DraftTree, np.ndarray]:
        """The trees of the sources of these numbers as one, likeliest first, and how likely each path is."""
        if not trees:
            return NO_DRAFT, np.empty(0, np.float32)
        tree = joined(trees, owners)
        n = len(tree)
        tokens, parent, source = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int8)
        path, score = np.empty(n, np.float32), np.empty(n, np.float32)
        given = tree.tokens, tree.parent, tree.score, tree.source, self._drafter.acceptance.rates
        m = int(merge_drafts(*given, tokens, parent, path, score, source))
        return DraftTree(tokens[:m], parent[:m], score[:m], source[:m]), path[:m]

    def _chosen(self, matcher: Matcher | None, paths: np.ndarray, room: int) -> Draft:
        """Those candidates that are allowed, likeliest first, as long as one more is worth its cost."""
        tree, drafter, stops = self._candidates, self._drafter, self._stops
        parents = tree.parent.tolist()
        place: dict[int, int] = {-1: -1}  # of each node that is kept
        kept: list[int] = []
        states: list[Matcher | None] = []
        depths: dict[int, int] = {-1: 0}
        gain = 1.0
        self._forbidden = set()
        for i, (token, path) in enumerate(zip(tree.tokens.tolist(), paths.tolist(), strict=True)):
            above = parents[i]
            if above not in place or (not drafter.branches and above != (kept[-1] if kept else -1)):
                continue
            if path < drafter.cost.threshold(gain, len(kept)) or len(kept) == drafter.most:
                break
            depth = depths[above] + 1
            if depth > room:
                continue
            if not 0 <= token < self._size:
                self._forbidden.add(i)
                continue
            state = matcher if above < 0 else states[place[above]]
            if state is not None:
                state = state.fork()
                if not _accepts(state, token):
                    self._forbidden.add(i)
                    continue
            elif above >= 0 and int(tree.tokens[above]) in stops:
                continue
            place[i], depths[i] = len(kept), depth
            kept.append(i)
            states.append(state)
            gain += path
        drafter.stats.forbidden += len(self._forbidden)
        if gain <= drafter.cost.of(len(kept)):
            return _EMPTY
        chosen = np.array(kept)
        parent = np.array([place[parents[i]] for i in kept], np.int32)
        return Draft(DraftTree(tree.tokens[chosen], parent, tree.score[chosen], tree.source[chosen]), states)

    def observe(self, tokens: Sequence[int], draft: Draft, path: Sequence[int], *, verified: bool = True) -> None:
        """How the text went on. tokens : all new ones; path : the draft's nodes among them, in order."""
        drafter, stats = self._drafter, self._drafter.stats
        if verified:
            stats.steps += 1
            stats.drafted += len(draft)
            stats.accepted += len(path)
        sources = draft.tree.source.tolist()
        for name, nodes in ((stats.by_source, path), (stats.proposed_by, range(len(draft)))):
            for node in nodes:
                owner = drafter.names[sources[node]]
                name[owner] = name.get(owner, 0) + 1
        self._learn(tokens)
        for i in self._asked:
            gained = sum(sources[node] == i for node in path)
            drafter.worth[i].gained += (1 - _FADE) * (gained - drafter.worth[i].gained)
        self._candidates, self._asked = NO_DRAFT, []  # judged once
        for stream in self._streams:
            stream.observe(tokens)

    def _learn(self, tokens: Sequence[int]) -> None:
        """Judges every candidate whose place in the text is decided: the children of what turned out right.

        Not what the grammar has cut: it costs nothing, so how often a source proposes it does not matter.
        """
        tree, learn = self._candidates, self._drafter.acceptance.learn
        if not len(tree):
            return
        parents, proposed = tree.parent.tolist(), tree.tokens.tolist()
        scores, sources = tree.score.tolist(), tree.source.tolist()
        right = {-1: 0}  # node -> how many tokens are behind it
        for i, above in enumerate(parents):
            done = right.get(above)
            if done is None or done >= len(tokens) or i in self._forbidden:
                continue
            is_right = proposed[i] == tokens[done]
            learn(sources[i], scores[i], is_right)
            if is_right:
                right[i] = done + 1
        self._drafter.acceptance.settle()

    def end(self) -> None:
        """The text is finished."""
        for stream in self._streams:
            stream.end()


def _accepts(matcher: Matcher, token: int) -> bool:
    """One step; a budget that is met on a drafted way is none of the text's."""
    try:
        return matcher.accept_token(token)
    except LimitError:
        return False
