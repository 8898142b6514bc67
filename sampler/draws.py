"""Draws from tables of weights, in log space: tokens by inverse distribution function, particles by resampling.

All random numbers come from one CPU generator of the caller, so a seed means the same on every device. A draw is the
first index whose cumulative weight is above u times the total, u uniform in [0, 1): what has weight 0 is never drawn.
"""

from __future__ import annotations

import math

import torch

__all__ = ["draw", "effective_sizes", "log_mean_exp", "resampled"]


def draw(
    log_weights: torch.Tensor, rows: torch.Tensor, log_totals: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """int64[n]: for each of the n draws an index of row `rows[i]` of the table, or -1.

    log_weights : float64[u, v], unnormalised; log_totals : float64[u], logarithms: what a row's total is above its sum
    is the weight of -1 (-inf: none). A row of weights 0 alone yields -1.
    """
    uniform = torch.rand(len(rows), 1, dtype=torch.double, generator=generator).to(log_weights.device)
    cumulative, highest = _cumulative(log_weights)
    totals = (log_totals[:, None] - highest).exp().maximum(cumulative[:, -1:])
    goal = (uniform * totals[rows]).minimum(torch.nextafter(totals, torch.zeros_like(totals))[rows])
    lines = cumulative[rows]
    drawn = torch.searchsorted(lines, goal, right=True)
    return drawn.masked_fill(goal >= lines[:, -1:], -1)[:, 0]


def _cumulative(log_weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(the cumulative weights of each row of [r, n], as multiples of its largest; the logarithm of that, [r, 1])."""
    highest = log_weights.amax(dim=1, keepdim=True)
    highest = highest.masked_fill(highest == -torch.inf, 0.0)
    return (log_weights - highest).exp_().cumsum_(dim=1), highest


def log_mean_exp(log_weights: torch.Tensor) -> torch.Tensor:
    """float64[r]: the logarithm of the mean weight of each row of [r, n]."""
    return log_weights.logsumexp(dim=1) - math.log(log_weights.shape[1])


def effective_sizes(log_weights: torch.Tensor) -> torch.Tensor:
    """float64[r]: the effective sample size (sum w)^2 / sum w^2 of each row of [r, n]; 0 for weights 0 alone."""
    sizes = (2 * log_weights.logsumexp(dim=1) - (2 * log_weights).logsumexp(dim=1)).exp()
    return sizes.nan_to_num(0.0)


def resampled(log_weights: torch.Tensor, method: str, count: int, generator: torch.Generator) -> torch.Tensor:
    """int64[r, count]: for each row of [r, n] the indices of `count` particles, drawn in proportion to their weights.

    method : "multinomial", independent draws; "systematic", one draw and equal steps from it (Kitagawa 1996), so each
        particle is taken as often as its share says, rounded up or down. Rows of weights 0 alone yield what they like.
    """
    rows, device = len(log_weights), log_weights.device
    if method == "systematic":
        steps = torch.arange(count, dtype=torch.double) + torch.rand(rows, 1, dtype=torch.double, generator=generator)
        points = (steps / count).to(device)
    else:
        points = torch.rand(rows, count, dtype=torch.double, generator=generator).to(device)
    cumulative, _ = _cumulative(log_weights)
    totals = cumulative[:, -1:]
    goal = (points * totals).minimum(torch.nextafter(totals, torch.zeros_like(totals)))
    return torch.searchsorted(cumulative, goal, right=True).clamp_max(log_weights.shape[1] - 1)
