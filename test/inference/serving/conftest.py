# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A cached engine, caches to change, and whether an engine's labels are right."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache as cached
from pathlib import Path
import shutil

import numpy as np
import pytest
from segret_ros.inference import Model
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.inference.engines.openvino import BUILT
from segret_ros.inference.labels import Blocks
from segret_ros.inference.serving.cache import EngineCache, Entry
from segret_ros.inference.serving.validated import build_validated_engine


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    """Return an empty cache."""
    return EngineCache(tmp_path / 'engines')


@pytest.fixture(scope='session')
def built(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """Build an engine for OpenVINO in a cache of its own; do not change it."""
    folder = tmp_path_factory.mktemp('built')
    model = Model.load(model_file)
    return build_validated_engine(model, 'openvino', None, EngineCache(folder))[1]


@pytest.fixture
def filled(cache: EngineCache, built: Entry) -> EngineCache:
    """Return a cache with that engine."""
    shutil.copytree(built.folder, cache.folder / built.folder.name)
    return cache


@pytest.fixture
def keep(cache: EngineCache, built: Entry) -> Callable[..., Entry]:
    """Return a function that caches that engine, or another file as if it were, with facts."""
    def keep(file: Path = built.folder / BUILT, **facts: object) -> Entry:
        entry = replace(built, **facts)
        with cache.writing() as folder:
            shutil.copy(file, folder / BUILT)
            return cache.keep(folder, entry.key, entry.parity, entry.first_share, entry.built_s)

    return keep


@pytest.fixture(scope='session')
def is_right(model_file: Path) -> Callable[[Engine], bool]:
    """Return a function that compares an engine's labels of a new image with a fresh engine's."""
    model = Model.load(model_file)
    size = model.info.input_size
    patches = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    image_rgb = patches.repeat(size[0] // 4, axis=0).repeat(size[1] // 6, axis=1)

    def labels_of(engine: Engine) -> np.ndarray:
        return Blocks(engine.run(image_rgb), size).labels()

    @cached
    def expected(device: str) -> np.ndarray:  # each device rounds in its own way
        return labels_of(open_engine(model, device))

    return lambda engine: bool((labels_of(engine) == expected(engine.device)).mean() > 0.995)
