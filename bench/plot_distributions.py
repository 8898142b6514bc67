"""Draws the distributions of TTFM and TBM: the share of all times that are at most so long, one line an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"bridle": "#c2410c", "llguidance": "#1d4ed8", "xgrammar": "#4d7c0f"}
PANELS = {"ttfm": "Time to first mask", "tbm": "Time between masks"}


def plot(times: dict[str, dict[str, np.ndarray]], path: str | Path) -> None:
    """times[engine][metric] in us, metrics as in maskbench.py. `warm` is drawn dashed, for bridle alone."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for panel, (metric, title) in zip(panels, PANELS.items()):
        for engine, series in times.items():
            step(panel, series[metric], label=engine, color=COLOURS[engine])
            if metric == "tbm" and engine == "bridle":
                step(panel, series["warm"], label="bridle, warm", color=COLOURS[engine], linestyle="--")
        dress(panel, title)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    pyplot.close(figure)


def step(panel: Any, values: np.ndarray, **style: Any) -> None:
    ordered = np.sort(values)
    panel.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", linewidth=1.8, **style)


def dress(panel: Any, title: str) -> None:
    panel.set_xscale("log")
    panel.set_xlabel("us")
    panel.set_ylabel("share of all that are at most so long")
    panel.set_title(title)
    panel.set_ylim(0, 1.01)
    panel.grid(True, which="major", color="#dddddd", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="lower right", frameon=False)
