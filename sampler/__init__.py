"""Masks meet logits, and sampling that is faithful to the model. Torch starts here."""

from .adaptive import Adaptive
from .bitmask import apply_token_bitmask_inplace
from .device_masks import MaskTable
from .overlap import PendingMasks, begin_masks
from .prefix_models import as_prefix_model
from .processed_distribution import Processing
from .samples import Sample, Samples, SamplingError, SamplingStats
from .sampling import sample

__all__ = [
    "Adaptive",
    "MaskTable",
    "PendingMasks",
    "Processing",
    "Sample",
    "Samples",
    "SamplingError",
    "SamplingStats",
    "apply_token_bitmask_inplace",
    "as_prefix_model",
    "begin_masks",
    "sample",
]
