# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A thousand cuts and flipped bits: an error or a new engine each time, and right labels."""

from collections.abc import Callable
from dataclasses import replace
import os
from pathlib import Path
import shutil

import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import checksum, Model, ModelError
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.engines.openvino import BUILT
from segret_ros.inference.labels import Blocks
from segret_ros.inference.serving.cache import EngineCache, ENTRY, Entry
from segret_ros.inference.serving.validated import open_validated_engine

DEVICE = 'openvino'
OF_ENTRIES, OF_MODELS, OF_THE_SHIPPED, OF_THE_METADATA = 500, 360, 80, 60


def corrupted(content: bytes, generator: np.random.Generator, begin: int = 0,
              end: int | None = None) -> bytes:
    """Cut a content or flip one bit of it, from `begin` to before `end`."""
    place = int(generator.integers(begin, len(content) if end is None else end))
    if generator.random() < 0.5:
        return content[:place]
    flipped = bytearray(content)
    flipped[place] ^= 1 << int(generator.integers(8))
    return bytes(flipped)


@pytest.fixture
def generator() -> np.random.Generator:
    """Return a generator of the same numbers each time."""
    return np.random.default_rng(7)


def put(cache: EngineCache, built: Entry, name: str, content: bytes) -> None:
    """Leave an entry with one of its files changed, whatever was there before."""
    folder = cache.folder / built.folder.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in built.folder.iterdir():
        if path.name != name:
            os.link(path, folder / path.name)
    (folder / name).write_bytes(content)


def check_that_another_takes_its_place(cache: EngineCache, built: Entry,
                                       keep: Callable[..., Entry]) -> None:
    keep()
    assert cache.find(built.key).files == built.files
    assert [path.name for path in cache.folder.iterdir()] == [built.folder.name]


def test_500_corruptions_of_a_cached_engine(
        built: Entry, cache: EngineCache, model_file: Path, is_right: Callable,
        generator: np.random.Generator) -> None:
    contents = {name: (built.folder / name).read_bytes() for name in (BUILT, ENTRY)}
    passed = 0
    for number in range(OF_ENTRIES):
        name = (BUILT, ENTRY)[number % 2]
        put(cache, built, name, corrupted(contents[name], generator))
        found = cache.find(built.key)
        if found:  # a digit beyond the precision, the last line's end
            assert name == ENTRY and found.key == built.key and found.parity == built.parity
            assert is_right(open_validated_engine(Model.load(model_file), DEVICE, cache=cache))
            passed += 1
    assert passed < 0.05 * OF_ENTRIES


@pytest.mark.parametrize('name', [BUILT, ENTRY])
def test_a_corrupt_engine_is_built_anew(built: Entry, cache: EngineCache, model_file: Path,
                                        is_right: Callable, name: str,
                                        caplog: pytest.LogCaptureFixture) -> None:
    put(cache, built, name, (built.folder / name).read_bytes()[:-2])
    assert is_right(open_validated_engine(Model.load(model_file), DEVICE, cache=cache))
    warning, = (record.message for record in caplog.records if record.levelname == 'WARNING')
    assert f'{built.folder.name}: the cached engine is corrupt' in warning
    assert is_right(open_engine(Model.load(model_file), DEVICE,
                                built=cache.find(built.key).folder))


@pytest.mark.parametrize('name', [BUILT, ENTRY])
@pytest.mark.parametrize('kind', ['missing', 'empty', 'folder', 'more'])
def test_files_that_are_not_as_they_were(built: Entry, cache: EngineCache,
                                         keep: Callable[..., Entry], name: str, kind: str) -> None:
    put(cache, built, name, b'')
    path = cache.folder / built.folder.name / name
    if kind in ('missing', 'folder'):
        path.unlink()
    if kind == 'folder':
        path.mkdir()
    if kind == 'more':
        path.write_bytes((built.folder / name).read_bytes())
        (path.parent / 'other').write_bytes(b'')
    assert cache.find(built.key) is None
    check_that_another_takes_its_place(cache, built, keep)


@pytest.mark.parametrize('kind', ['file', 'link to nowhere', 'another entry', 'empty folder'])
def test_folders_that_are_none_of_ours(built: Entry, cache: EngineCache,
                                       keep: Callable[..., Entry], kind: str) -> None:
    folder = cache.folder / built.folder.name
    cache.folder.mkdir()
    if kind == 'file':
        folder.write_text('no folder')
    elif kind == 'link to nowhere':
        folder.symlink_to('nowhere')
    elif kind == 'empty folder':
        folder.mkdir()
    else:
        keep(key=replace(built.key, device='cpu')).folder.rename(folder)
    assert cache.find(built.key) is None
    check_that_another_takes_its_place(cache, built, keep)


def labels(path: Path, images: list[np.ndarray]) -> list[np.ndarray]:
    engine, size = open_engine(Model.load(path), 'cpu'), Model.load(path).info.input_size
    return [Blocks(engine.run(image_rgb), size).labels() for image_rgb in images]


def check_corruptions(path: Path, corrupt: Callable[[bytes], bytes], count: int,
                      folder: Path) -> int:
    """Count the corruptions that were not refused; these files label as before."""
    info, content = Model.load(path).info, path.read_bytes()
    images = [np.random.default_rng(1).integers(0, 256, (*info.input_size, 3), np.uint8)]
    expected = labels(path, images)
    passed = 0
    for number in range(count):
        changed = folder / f'{number}.onnx'
        changed.write_bytes(corrupt(content))
        try:
            assert Model.load(changed).info == info
            assert np.array_equal(labels(changed, images), expected)
            passed += 1
        except ModelError as error:
            assert str(changed) in str(error) and 'segret_export' in str(error)
        changed.unlink()
    return passed


@pytest.mark.parametrize('which, count', [('small', OF_MODELS), ('shipped', OF_THE_SHIPPED)])
def test_corruptions_of_a_model_file(network_file: Path, tmp_path: Path, which: str, count: int,
                                     generator: np.random.Generator) -> None:
    path = {'small': network_file, 'shipped': default_model()}[which]
    assert check_corruptions(path, lambda content: corrupted(content, generator), count,
                             tmp_path) == 0


def test_corruptions_of_the_checksum_of_a_model_file(network_file: Path, tmp_path: Path,
                                                     generator: np.random.Generator) -> None:
    """Where the checksum's own name is hit, the file counts as an older one, which has none."""
    begin = network_file.read_bytes().index(checksum.KEY.encode()) - 4
    end = begin + 4 + len(checksum.KEY) + 2 + 64
    passed = check_corruptions(
        network_file, lambda content: corrupted(content, generator, begin, end), OF_THE_METADATA,
        tmp_path)
    assert 0 < passed < OF_THE_METADATA
