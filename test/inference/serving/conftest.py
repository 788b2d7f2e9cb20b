# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A model file with its own frames, and one whose weights are other than its frames tell."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache as cached
from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest
from segret_ros.inference import Model
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.inference.engines.openvino import BUILT
from segret_ros.inference.labels import Blocks
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.inference.serving.cache import EngineCache, Entry
from segret_ros.inference.serving.parity import labelled
from segret_ros.inference.serving.validated import build_validated_engine

FRAMES = 3
SEED = 0


def blobs(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Make an (H, W, 3) uint8 RGB image of soft patches."""
    coarse = generator.integers(0, 256, (8, 12, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope='session')
def parity_file(network_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model file of random weights, stored as float16, with parity frames of its own."""
    import onnx
    from segret_train.onnx_model import save_model, store_as_half
    model, info = onnx.load(network_file), Model.load(network_file).info
    store_as_half(model)
    path = tmp_path_factory.mktemp('parity') / 'segret_nano_parity.onnx'
    save_model(model, info, path)
    generator = np.random.default_rng(SEED)
    jpegs = [compressed(blobs(generator, info.input_size)) for _ in range(FRAMES)]
    frames = labelled([decompressed(jpeg) for jpeg in jpegs], Model.load(path))
    texts = encode([(jpeg, frame.label) for jpeg, frame in zip(jpegs, frames)])
    save_model(onnx.load(path), replace(info, parity_frames=texts), path)
    return path


@pytest.fixture(scope='session')
def changed_file(parity_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an intact model file with mixed-up classes and the parity frames of the other."""
    import onnx
    from onnx import numpy_helper
    from segret_train.onnx_model import save_model
    model = onnx.load(parity_file)
    tensor, = (tensor for tensor in model.graph.initializer
               if tensor.name == 'decoder.classify.bias')
    bias = numpy_helper.to_array(tensor) + np.float32([1, 0, 0])
    tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
    path = tmp_path_factory.mktemp('changed') / 'segret_nano_changed.onnx'
    save_model(model, Model.load(parity_file).info, path)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    """Return an empty cache."""
    return EngineCache(tmp_path / 'engines')


@pytest.fixture(scope='session')
def built(parity_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """Build that file's engine for OpenVINO in a cache of its own; do not change it."""
    folder = tmp_path_factory.mktemp('built')
    model = Model.load(parity_file)
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
def is_right(parity_file: Path) -> Callable[[Engine], bool]:
    """Return a function that compares an engine's labels of a new image with a fresh engine's."""
    size = Model.load(parity_file).info.input_size
    image_rgb = blobs(np.random.default_rng(SEED + 1), size)

    def labels_of(engine: Engine) -> np.ndarray:
        return Blocks(engine.run(image_rgb), size).labels()

    @cached
    def expected(device: str) -> np.ndarray:  # each device rounds in its own way
        return labels_of(open_engine(Model.load(parity_file), device))

    return lambda engine: bool((labels_of(engine) == expected(engine.device)).mean() > 0.995)
