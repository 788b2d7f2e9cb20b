# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A recipe of four steps of a small network."""

import pytest
from segret_train.recipe import Recipe
from segret_train.training.process_group import ProcessGroup


@pytest.fixture(scope='module', autouse=True)
def small(small_nano: None) -> None:
    """Train small networks."""


@pytest.fixture
def recipe() -> Recipe:
    """Return nano's recipe of 4 steps of 2 crops of 32 x 32, with a moving average."""
    return Recipe(dataset='camvid', variant='nano', iterations=4, batch_size=2, crop=(32, 32),
                  learning_rate=1e-3, warmup=2, no_decay='vectors', ema=0.9, validate_every=2,
                  seed=3)


@pytest.fixture
def group() -> ProcessGroup:
    """Return a group of this process only, on the CPU."""
    return ProcessGroup('cpu')
