"""What drafting has been worth: how often proposals were right, and what a wider forward costs.

`Acceptance` calibrates scores: a source says "0.7", and what counts is how often its nodes of about 0.7 were right,
given that their parents were. It learns from every proposal whose place in the text is decided, verified or not, so a
source that was not trusted can win trust back. Older outcomes fade.

`ForwardCost` fits seconds = a (1 + [w > 0] j + b w) to the forwards seen, of w drafted tokens, older ones fading. The
jump j is what a processor pays for leaving the product of a matrix with a vector (and next to nothing on a GPU). A node
is worth verifying while it raises the expected tokens per second: with G of them at a cost of 1 + j + b w forwards, one
more of probability p does if p > G b / (1 + j + b w). A draft as a whole is, if G > 1 + j + b w. Where a few forwards
that took long for another reason have made that never so, no others would say otherwise; so what is known fades to the
first guess.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .draft_kernels import BANDS

__all__ = ["Acceptance", "ForwardCost"]

_PRIOR = 4.0  # outcomes that a score is worth before any is seen
# What a source has promised, and kept of it, before it was right or wrong. It is watched at first: what it proposes is
# judged whether it is verified or not, so one that is right is soon trusted, and one that never is costs no forward.
_PROMISED, _KEPT = 0.5, 0.15
_MEMORY = 256.0  # outcomes of a band that are remembered
_LEAST = 0.01
_FEW = 3.0  # forwards of a kind, of which nothing is concluded
_GUESS = (0.02, 0.3)  # slope and jump, of which nothing is known
_FORGET = 0.01  # a forward without drafts, once those with drafts are forgotten


class Acceptance:
    """Rates by source and band of scores. rates : float32[sources, BANDS], for `merge_drafts`.

    A band of which little is known is worth its score times the source's skill: how much was right over all its bands,
    of what its scores promised. So a text that nothing predicts is found out by a few wrong nodes, not by a few a band.
    """

    def __init__(self, sources: int) -> None:
        self._scores = (np.arange(BANDS) + 0.5) / BANDS
        self._right, self._seen = np.zeros((sources, BANDS)), np.zeros((sources, BANDS))
        self._promised, self._kept = np.full(sources, _PROMISED), np.full(sources, _KEPT)
        self.rates: npt.NDArray[np.float32] = np.empty((sources, BANDS), np.float32)
        self._changed = set(range(sources))
        self.settle()

    def learn(self, source: int, score: float, right: bool) -> None:
        """One node whose parent was right: was it, too? Counts once `settle` is called."""
        band = min(BANDS - 1, int(score * BANDS))
        if self._seen[source, band] > _MEMORY:
            self._seen[source, band] *= 0.5
            self._right[source, band] *= 0.5
        if self._promised[source] > _MEMORY / 4:
            self._promised[source] *= 0.5
            self._kept[source] *= 0.5
        self._seen[source, band] += 1
        self._right[source, band] += right
        self._promised[source] += score
        self._kept[source] += right
        self._changed.add(source)

    def settle(self) -> None:
        """Brings the rates up to date."""
        for source in self._changed:
            skill = min(1.0, self._kept[source] / self._promised[source])
            known = self._right[source] + _PRIOR * skill * self._scores
            self.rates[source] = np.maximum(_LEAST, known / (self._seen[source] + _PRIOR))
        self._changed.clear()


class ForwardCost:
    """What a forward costs by the number of drafted tokens in it, in forwards without any.

    slope : of one more token; given: fixed, and there is no jump; None: measured, from a careful guess on.
    jump : of the first one, beside that. seconds : of a forward without drafts.
    """

    def __init__(self, slope: float | None = None) -> None:
        if slope is not None and not 0 <= slope < 1e6:
            raise ValueError(f"a slope is the cost of one more token in forwards of one token, not {slope}")
        self._fixed = slope
        self._alone = (0.0, 0.0)  # forwards without drafts: how many, their seconds
        self._wide = (0.0,) * 5  # those with drafts: sums of 1, w, w², t, w t
        self.slope, self.jump = _GUESS if slope is None else (slope, 0.0)
        self.seconds = 0.0

    def of(self, width: int) -> float:
        """Forwards that one with `width` drafted tokens is worth."""
        return 1 + self.jump + self.slope * width if width else 1.0

    def learn(self, width: int, seconds: float) -> None:
        """A forward that verified `width` drafted tokens has taken so long."""
        seconds = max(seconds, 1e-9)  # of a clock that stands still, or goes back
        if self._alone[0] + self._wide[0] > 8:
            seconds = min(seconds, 4 * self.seconds * self.of(width))  # another program was in the way
        n, t = self._alone
        wide = [0.98 * total for total in self._wide]
        self._alone = 0.98 * n + (not width), 0.98 * t + (0.0 if width else seconds)
        if width:
            for i, new in enumerate((1, width, width * width, seconds, width * seconds)):
                wide[i] += new
        self._wide = wide[0], wide[1], wide[2], wide[3], wide[4]
        if self._fixed is None and width:
            self._fit()
        elif self._fixed is None and wide[0] <= _FEW:
            self.slope += _FORGET * (_GUESS[0] - self.slope)
            self.jump += _FORGET * (_GUESS[1] - self.jump)
        n, t = self._alone
        self.seconds = (t + wide[3]) / (n + wide[0] * (1 + self.jump) + self.slope * wide[1])

    def _fit(self) -> None:
        """Moves slope and jump towards what was seen. A fit to few widths says nothing of others, so then the slope
        stays; what forwards without drafts cost beside others is known only of such."""
        n, w, ww, t, wt = self._wide
        alone, spent = self._alone
        spread = n * ww - w * w
        if spread > n * n / 4:
            steep = (n * wt - w * t) / spread
            base = spent / alone if alone > _FEW else max((t - steep * w) / n, 1e-9) / (1 + self.jump)
            self.slope += 0.25 * (min(max(steep / base, 1e-4), 1.0) - self.slope)
        if alone > _FEW and n > _FEW:
            measured = (t / n) / (spent / alone) - 1 - self.slope * w / n
            self.jump += 0.25 * (min(max(measured, 0.0), 1.0) - self.jump)

    def threshold(self, gain: float, width: int) -> float:
        """What probability one more node needs, beside `width` nodes that make `gain` tokens be expected."""
        return max(_LEAST, gain * self.slope / (1 + self.jump + self.slope * width))
