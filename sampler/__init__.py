"""Masks meet logits. Torch starts here."""

from .bitmask import apply_token_bitmask_inplace

__all__ = ["apply_token_bitmask_inplace"]
