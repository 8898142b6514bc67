"""What drafting has been worth: how often proposals were right, and what a wider forward costs.

`Acceptance` calibrates scores: a source says "0.7", and what counts is how often its nodes of about 0.7 were right,
given that their parents were. It learns from every proposal whose place in the text is decided, verified or not, so a
source that was not trusted can win trust back. Older outcomes fade.

`ForwardCost` fits seconds = a + b * drafted tokens to the forwards seen, older ones fading. A node is worth verifying
while its probability exceeds the share of a forward's gain that it costs: with G expected tokens for a + b * w seconds,
one more node of probability p raises the rate if p > G * b / (a + b * w).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .draft_kernels import BANDS

__all__ = ["Acceptance", "ForwardCost"]

_PRIOR = 4.0  # outcomes that a score is worth before any is seen
_MEMORY = 256.0  # outcomes of a band that are remembered
_LEAST = 0.01


class Acceptance:
    """Rates by source and band of scores. rates : float32[sources, BANDS], for `merge_drafts`.

    A band of which little is known is worth its score times the source's skill: how much was right over all its bands,
    of what its scores promised. So a text that nothing predicts is found out by a few wrong nodes, not by a few a band.
    """

    def __init__(self, sources: int) -> None:
        self._scores = (np.arange(BANDS) + 0.5) / BANDS
        self._right, self._seen = np.zeros((sources, BANDS)), np.zeros((sources, BANDS))
        self._promised, self._kept = np.full(sources, _PRIOR / 2), np.full(sources, _PRIOR / 2)
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
    """Seconds of a forward by the number of drafted tokens in it, beside the one that every forward has.

    slope : b / a if it is known or to be fixed; None: measured, from a careful guess on.
    """

    def __init__(self, slope: float | None = None) -> None:
        if slope is not None and not 0 <= slope < 1e6:
            raise ValueError(f"a slope is the cost of one more token in forwards of one token, not {slope}")
        self._fixed = slope
        self._sums = (0.0,) * 5  # of 1, w, w², t, w t
        self.slope = 0.02 if slope is None else slope
        self.seconds = 0.0

    def learn(self, width: int, seconds: float) -> None:
        """A forward that verified `width` drafted tokens has taken so long."""
        expected = self.seconds * (1 + self.slope * width)
        if self._sums[0] > 8:
            seconds = min(seconds, 4 * expected)  # another program was in the way
        n, w, ww, t, wt = self._sums
        n, w, ww = 0.98 * n + 1, 0.98 * w + width, 0.98 * ww + width * width
        t, wt = 0.98 * t + seconds, 0.98 * wt + width * seconds
        self._sums = n, w, ww, t, wt
        if self._fixed is None:
            # Eight forwards' worth of the guess: a fit to few widths says nothing of others.
            spread = n * ww - w * w
            steep = (n * wt - w * t) / spread if spread > 1e-9 else 0.0
            base = max((t - steep * w) / n, 1e-9)
            measured = min(max(steep / base, 1e-4), 1.0) if spread > n * n / 4 else self.slope
            self.slope += 0.25 * (measured - self.slope)
        self.seconds = t / (n + self.slope * w)

    def threshold(self, gain: float, width: int) -> float:
        """What probability one more node needs, beside `width` nodes that make `gain` tokens be expected."""
        return max(_LEAST, gain * self.slope / (1 + self.slope * width))
