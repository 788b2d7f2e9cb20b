# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The published variants against what the authors' code computes."""

from pathlib import Path

import numpy as np
import pytest
from reference_weights import LETTERS, reference_image, reference_results, reference_state
from segret_ros.network import load_checkpoint, SegRet
import torch

TOLERANCE = 1e-3


def load_reference(variant: str, folder: Path) -> SegRet:
    """Return a variant with the reference weights, read as the authors' checkpoint."""
    state = {key: torch.from_numpy(value) for key, value in reference_state(variant).items()}
    path = folder / f'{variant}.pth'
    torch.save({'state_dict': state, 'meta': {}}, path)
    network = load_checkpoint(path)
    path.unlink()  # up to 400 MB
    return network


@pytest.mark.parametrize('variant', LETTERS)
def test_stages_and_logits_are_the_authors(variant: str, tmp_path: Path) -> None:
    network = load_reference(variant, tmp_path)
    assert network.variant == variant
    results = reference_results(variant)
    sizes = [key.removeprefix('logits_') for key in results if key.startswith('logits_')]
    assert sizes
    for size in sizes:
        image = torch.from_numpy(reference_image(*map(int, size.split('x'))))
        with torch.inference_mode():
            stages = network.backbone(image)
            logits = network(image)
        for stage, expected in zip(stages, results[f'stages_{size}'], strict=True):
            found = [stage.mean(), stage.std(), stage.abs().max()]
            np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_allclose(logits, results[f'logits_{size}'], rtol=0, atol=TOLERANCE)
