"""Masks meet logits. Torch starts here."""

from .bitmask import apply_token_bitmask_inplace
from .overlap import PendingMasks, begin_masks

__all__ = ["PendingMasks", "apply_token_bitmask_inplace", "begin_masks"]
