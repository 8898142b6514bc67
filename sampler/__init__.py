"""Masks meet logits. Torch starts here."""

from .bitmask import apply_token_bitmask_inplace
from .device_masks import MaskTable
from .overlap import PendingMasks, begin_masks

__all__ = ["MaskTable", "PendingMasks", "apply_token_bitmask_inplace", "begin_masks"]
