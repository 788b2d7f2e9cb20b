# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines that label otherwise than the float32 network are refused, whatever they come from."""

from collections.abc import Callable
from dataclasses import replace
import json
import logging
import math
from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest
from segret_ros.files.share import share_directory
from segret_ros.inference import DeviceError, Model, ModelError
from segret_ros.inference.engines.openvino import BUILT
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.inference.serving import validated
from segret_ros.inference.serving.cache import EngineCache, ENTRY, Entry
from segret_ros.inference.serving.parity import (
    frames_of,
    frames_of_folder,
    LEAST_SHARE_EQUAL,
    Parity,
    shipped_images,
)
from segret_ros.inference.serving.validated import (
    build_validated_engine,
    open_validated_engine,
    ParityError,
)

DEVICE = 'openvino'


def never(*arguments) -> None:
    raise AssertionError('it is built although it is kept')


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def refusal(path: Path, device: str, cache: EngineCache) -> str:
    with pytest.raises(ParityError) as refused:
        open_validated_engine(Model.load(path), device, cache=cache)
    return str(refused.value)


@pytest.mark.parametrize('device', ['openvino', 'cpu'])
def test_other_weights_are_refused_with_numbers_and_ways_out(
        changed_file: Path, cache: EngineCache, device: str, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    text = refusal(changed_file, device, cache)
    entry, = cache.entries()
    assert f'{changed_file}: its engine on {device} fails the parity check' in text
    assert f'{entry.parity.share_equal:.3%} of the labels are the float32 network' in text
    least = LEAST_SHARE_EQUAL[entry.parity.precision]
    assert entry.parity.share_equal < 0.9 and f'at least {least:.1%} must be' in text
    assert f'segret_engine build {changed_file} --device {device}' in text
    assert 'allow_unproven_engine:=true' in text
    monkeypatch.setattr(validated, 'build_engine', never)
    assert refusal(changed_file, device, cache) == text  # at once
    assert warnings(caplog) == []
    engine = open_validated_engine(Model.load(changed_file), device, cache=cache,
                                   allow_unproven=True)
    assert engine.device == device
    warning, = warnings(caplog)
    assert 'is used all the same' in warning and f'{entry.parity.share_equal:.3%}' in warning


def test_building_anew_forgets_a_refusal(proven_file: Path, filled: EngineCache,
                                         built: Entry) -> None:
    failing = replace(built.parity, share_equal=0.5)
    with filled.writing(built.key) as folder:
        shutil.copy(built.folder / BUILT, folder)
        filled.keep(folder, built.key, failing, built.first_share, 1.0)
    assert '50.000%' in refusal(proven_file, DEVICE, filled)
    build_validated_engine(Model.load(proven_file), DEVICE, None, filled)
    assert open_validated_engine(Model.load(proven_file), DEVICE, cache=filled).device == DEVICE


def test_auto_passes_a_device_over_whose_engine_is_refused(
        proven_file: Path, cache: EngineCache, built: Entry,
        caplog: pytest.LogCaptureFixture) -> None:
    failing = replace(built.parity, finite=False)
    with cache.writing(built.key) as folder:
        shutil.copy(built.folder / BUILT, folder)
        cache.keep(folder, built.key, failing, built.first_share, 1.0)
    assert open_validated_engine(Model.load(proven_file), 'auto', cache=cache).device == 'cpu'
    warning, = warnings(caplog)
    assert 'on openvino fails' in warning and 'NaN or infinite' in warning
    assert 'falling back' in warning


def test_auto_has_nothing_for_a_damaged_network(changed_file: Path, cache: EngineCache) -> None:
    assert 'its engine on cpu fails' in refusal(changed_file, 'auto', cache)


def test_the_engine_of_another_model_with_right_checksums_is_built_anew(
        proven_file: Path, changed_file: Path, filled: EngineCache, built: Entry,
        is_right: Callable, caplog: pytest.LogCaptureFixture) -> None:
    other = build_validated_engine(Model.load(changed_file), DEVICE, None, filled)
    with filled.writing(built.key) as folder:  # as if it were the proven file's
        shutil.copy(other.folder / BUILT, folder)
        filled.keep(folder, built.key, built.parity, built.first_share, built.built_s)
    assert filled.find(built.key).files == other.files
    engine = open_validated_engine(Model.load(proven_file), DEVICE, cache=filled)
    assert is_right(engine)
    warning, = warnings(caplog)
    assert f'{other.first_share:.2%} of the labels of a frame' in warning
    assert filled.find(built.key).files != other.files


def test_an_engine_of_another_size_with_right_checksums_is_built_anew(
        proven_file: Path, filled: EngineCache, built: Entry, is_right: Callable,
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from segret_ros.inference.engines.engine import build_engine
    shipped = share_directory() / 'models' / 'segret_nano_camvid.onnx'
    build_engine(Model.load(shipped), DEVICE, None, tmp_path)
    with filled.writing(built.key) as folder:
        shutil.copy(tmp_path / BUILT, folder)
        filled.keep(folder, built.key, built.parity, built.first_share, built.built_s)
    assert is_right(open_validated_engine(Model.load(proven_file), DEVICE, cache=filled))
    assert 'is unusable' in warnings(caplog)[0]


def test_a_file_that_openvino_cannot_read_with_a_right_checksum_is_built_anew(
        proven_file: Path, filled: EngineCache, built: Entry, is_right: Callable,
        caplog: pytest.LogCaptureFixture) -> None:
    with filled.writing(built.key) as folder:
        (folder / BUILT).write_bytes(b'no engine at all')
        filled.keep(folder, built.key, built.parity, built.first_share, built.built_s)
    assert is_right(open_validated_engine(Model.load(proven_file), DEVICE, cache=filled))
    assert "OpenVINO can't load the engine in it" in warnings(caplog)[0]


def test_a_result_cannot_be_written_over(filled: EngineCache, built: Entry) -> None:
    path = filled.folder / built.folder.name / ENTRY
    record = json.loads(path.read_text())
    record['entry']['parity']['frames'] = 1000
    path.write_text(json.dumps(record))
    assert filled.find(built.key) is None


def test_an_older_model_file_is_compared_on_the_shipped_frames(
        network_file: Path, cache: EngineCache) -> None:
    model = Model.load(network_file)
    info = model.info
    assert info.parity_frames == ''
    frames = frames_of(model, 2)
    assert [frame.image_rgb.shape for frame in frames] == (
        [(*info.input_size, 3)] * 2)
    assert len({frame.label.tobytes() for frame in frames}) == len(frames)
    open_validated_engine(Model.load(network_file), DEVICE, cache=cache)
    entry, = cache.entries()
    assert entry.parity.frames == len(shipped_images()) > 2 and not entry.parity.problem()
    open_validated_engine(Model.load(network_file), DEVICE, cache=cache)
    assert cache.find(entry.key).built_at == entry.built_at


def test_images_of_the_users_own(proven_file: Path, cache: EngineCache, tmp_path: Path) -> None:
    model, folder = Model.load(proven_file), tmp_path / 'images'
    with pytest.raises(ValueError, match=f'{folder}: no such folder'):
        frames_of_folder(folder, model)
    folder.mkdir()
    with pytest.raises(ValueError, match='no image'):
        frames_of_folder(folder, model)
    for index, image_rgb in enumerate(shipped_images()[:2]):
        cv2.imwrite(str(folder / f'{index}.png'), image_rgb[..., ::-1])
    frames = frames_of_folder(folder, model)
    entry = build_validated_engine(Model.load(proven_file), 'cpu', None, cache, frames)
    assert entry.parity.frames == 2 and entry.parity.share_equal == 1
    (folder / '3.jpg').write_text('no picture')
    with pytest.raises(ValueError, match=r'3\.jpg: not a readable image'):
        frames_of_folder(folder, model)
    with pytest.raises(ModelError, match='computes in int8'):
        frames_of_folder(folder, replace(model, info=replace(model.info, precision='int8')))


def test_a_model_file_that_is_damaged_or_missing_is_told(proven_file: Path, tmp_path: Path,
                                                         cache: EngineCache) -> None:
    with pytest.raises(ModelError, match='no such model file'):
        open_validated_engine(Model.load(tmp_path / 'none.onnx'), DEVICE, cache=cache)
    damaged = tmp_path / 'damaged.onnx'
    damaged.write_bytes(proven_file.read_bytes()[:-1])
    with pytest.raises(ModelError, match='corrupt'):
        open_validated_engine(Model.load(damaged), DEVICE, cache=cache)
    assert cache.entries() == []


@pytest.mark.parametrize('device', ['cuda', 'tensorrt', 'toaster'])
def test_a_missing_device_is_told(proven_file: Path, cache: EngineCache, device: str) -> None:
    with pytest.raises(DeviceError, match=device):
        open_validated_engine(Model.load(proven_file), device, cache=cache)
    assert list(cache.folder.glob('*')) == []


def test_other_frames_do_not_make_good_what_fails_on_its_own(
        changed_file: Path, cache: EngineCache, tmp_path: Path) -> None:
    image = cv2.cvtColor(shipped_images()[0], cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    frames = frames_of_folder(tmp_path, Model.load(changed_file))
    entry = build_validated_engine(Model.load(changed_file), 'cpu', None, cache, frames)
    assert entry.parity.problem() and entry.parity.frames == 3


@pytest.mark.parametrize('share, class_iou', [(math.nan, (1.0,)), (1.0, (math.nan,))])
def test_numbers_that_are_none_do_not_pass(share: float, class_iou: tuple[float]) -> None:
    assert Parity('float32', 1, share, class_iou, True).problem()


def test_frames_with_a_class_that_the_model_has_not_are_damaged(proven_file: Path) -> None:
    model = Model.load(proven_file)
    jpeg = compressed(shipped_images()[0])
    label = np.full(decompressed(jpeg).shape[:2], len(model.info.labels), np.uint8)
    text = encode([(jpeg, label)])
    with pytest.raises(ModelError, match='parity frames are corrupt .label 3 of 3 classes'):
        frames_of(replace(model, info=replace(model.info, parity_frames=text)))
