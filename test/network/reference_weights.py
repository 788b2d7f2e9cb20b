# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Weights and inputs that depend on nothing but names and shapes, for comparison with other code.

The folder `reference` holds the keys and shapes of the authors' checkpoints and, per variant, what
the authors' code computes in float32 from these weights and inputs: logits, and for each stage's
output the mean, the standard deviation and the largest absolute value.
"""

import json
import math
from pathlib import Path
import zlib

import numpy as np

REFERENCE = Path(__file__).parent / 'reference'
LETTERS = {'tiny': 'T', 'small': 'S', 'base': 'B', 'large': 'L'}


def reference_state(variant: str) -> dict[str, np.ndarray]:
    """Return weights by the authors' names, 19 classes, without the position buffers."""
    shapes = json.loads((REFERENCE / f'keys_{LETTERS[variant]}.json').read_text())
    return {key: _weights(key, shape) for key, shape in shapes.items() if '.Relpos.' not in key}


def reference_results(variant: str) -> dict[str, np.ndarray]:
    """Return `logits_HxW`, (1, 19, H / 4, W / 4), and `stages_HxW`, (4, 3), of some sizes."""
    with np.load(REFERENCE / f'segret_{LETTERS[variant]}.npz') as results:
        return dict(results)


def reference_image(height: int, width: int) -> np.ndarray:
    """Return the normalised input, (1, 3, height, width) float32."""
    random = np.random.default_rng(height * 10_000 + width)
    return random.standard_normal((1, 3, height, width)).astype(np.float32)


def _weights(key: str, shape: list[int]) -> np.ndarray:
    if key.endswith('num_batches_tracked'):
        return np.ones(shape, np.int64)
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith('running_var'):
        offset, scale, noise = 1.0, 0.3, np.abs(noise)
    elif len(shape) == 1:
        offset, scale = (1.0, 0.2) if key.endswith('weight') else (0.0, 0.1)
    elif '.gamma_' in key:
        offset, scale = 0.5, 0.1
    else:
        offset, scale = 0.0, 1 / math.sqrt(np.prod(shape[1:]))
        # Small outputs of each residual branch keep a deep stack within a few units.
        if key.endswith(('pos.conv.weight', 'retention.out_proj.weight', 'ffn.fc2.weight')):
            scale *= 0.2
    return (offset + scale * noise).astype(np.float32)
