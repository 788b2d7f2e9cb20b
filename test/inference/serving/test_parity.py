# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines that label otherwise than the float32 network are refused, whatever they come from."""

from collections.abc import Callable
from dataclasses import replace
import logging
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import Model, ModelError
from segret_ros.inference.engines.engine import build_engine
from segret_ros.inference.engines.openvino import BUILT
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.inference.serving import validated
from segret_ros.inference.serving.cache import EngineCache, Entry
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


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def refusal(path: Path, device: str, cache: EngineCache) -> str:
    with pytest.raises(ParityError) as refused:
        open_validated_engine(Model.load(path), device, cache=cache)
    return str(refused.value)


@pytest.mark.parametrize('device', ['openvino', 'cpu'])
def test_other_weights_are_refused_with_numbers_and_ways_out(
        wrong_model: Path, cache: EngineCache, device: str, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    text = refusal(wrong_model, device, cache)
    entry, = cache.entries()
    assert f'{wrong_model}: its engine on {device} fails the parity check' in text
    assert f'{entry.parity.share_equal:.3%} of the labels are the float32 network' in text
    least = LEAST_SHARE_EQUAL[entry.parity.precision]
    assert entry.parity.share_equal < 0.9 and f'at least {least:.1%} must be' in text
    assert f'segret_engine build {wrong_model} --device {device}' in text
    assert 'allow_unproven_engine:=true' in text
    monkeypatch.setattr(validated, 'build_engine', lambda *_: pytest.fail('built again'))
    assert refusal(wrong_model, device, cache) == text  # at once
    assert warnings(caplog) == []
    engine = open_validated_engine(Model.load(wrong_model), device, cache=cache,
                                   allow_unproven=True)
    assert engine.device == device
    warning, = warnings(caplog)
    assert 'is used all the same' in warning and f'{entry.parity.share_equal:.3%}' in warning


def test_building_anew_forgets_a_refusal(model_file: Path, cache: EngineCache, built: Entry,
                                         keep: Callable[..., Entry]) -> None:
    keep(parity=replace(built.parity, share_equal=0.5))
    assert '50.000%' in refusal(model_file, DEVICE, cache)
    build_validated_engine(Model.load(model_file), DEVICE, None, cache)
    assert open_validated_engine(Model.load(model_file), DEVICE, cache=cache).device == DEVICE


def test_auto_passes_a_device_over_whose_engine_is_refused(
        model_file: Path, cache: EngineCache, built: Entry, keep: Callable[..., Entry],
        caplog: pytest.LogCaptureFixture) -> None:
    keep(parity=replace(built.parity, finite=False))
    assert open_validated_engine(Model.load(model_file), 'auto', cache=cache).device == 'cpu'
    warning, = warnings(caplog)
    assert 'on openvino fails' in warning and 'NaN or infinite' in warning
    assert 'falling back' in warning


def test_auto_has_nothing_for_a_damaged_network(wrong_model: Path, cache: EngineCache) -> None:
    assert 'its engine on cpu fails' in refusal(wrong_model, 'auto', cache)


@pytest.mark.parametrize(('content', 'problem'), [
    ('another model', ' of the labels of a frame are the float32'),
    ('another size', 'is unusable'), ('no engine', "OpenVINO can't load the engine in it")])
def test_another_engine_with_right_checksums_is_built_anew(
        model_file: Path, wrong_model: Path, cache: EngineCache, keep: Callable[..., Entry],
        is_right: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str,
        problem: str) -> None:
    if content == 'no engine':
        (tmp_path / BUILT).write_bytes(b'no engine at all')
    else:
        path = {'another model': wrong_model, 'another size': default_model()}[content]
        build_engine(Model.load(path), DEVICE, None, tmp_path)
    wrong = keep(tmp_path / BUILT)
    assert cache.find(wrong.key) == wrong
    assert is_right(open_validated_engine(Model.load(model_file), DEVICE, cache=cache))
    warning, = warnings(caplog)
    assert problem in warning
    assert cache.find(wrong.key).files != wrong.files


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


def test_a_folder_of_images_that_is_none_is_refused(model_file: Path, tmp_path: Path) -> None:
    model, folder = Model.load(model_file), tmp_path / 'images'
    with pytest.raises(ValueError, match=f'{folder}: no such folder'):
        frames_of_folder(folder, model)
    folder.mkdir()
    with pytest.raises(ValueError, match='no image'):
        frames_of_folder(folder, model)
    (folder / '3.jpg').write_text('no picture')
    with pytest.raises(ValueError, match=r'3\.jpg: not a readable image'):
        frames_of_folder(folder, model)
    with pytest.raises(ModelError, match='computes in int8'):
        frames_of_folder(folder, replace(model, info=replace(model.info, precision='int8')))


def test_other_frames_do_not_make_good_what_fails_on_its_own(
        wrong_model: Path, cache: EngineCache, tmp_path: Path) -> None:
    image = cv2.cvtColor(shipped_images()[0], cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    frames = frames_of_folder(tmp_path, Model.load(wrong_model))
    _, entry = build_validated_engine(Model.load(wrong_model), 'cpu', None, cache, frames)
    assert entry.parity.problem() and entry.parity.frames == 2


@pytest.mark.parametrize('share, class_iou', [(math.nan, [1.0]), (1.0, [math.nan])])
def test_numbers_that_are_none_do_not_pass(share: float, class_iou: list[float]) -> None:
    assert Parity('float32', 1, share, class_iou, True).problem()


def test_frames_with_a_class_that_the_model_has_not_are_damaged(model_file: Path) -> None:
    model = Model.load(model_file)
    jpeg = compressed(shipped_images()[0])
    label = np.full(decompressed(jpeg).shape[:2], len(model.info.labels), np.uint8)
    text = encode([(jpeg, label)])
    with pytest.raises(ModelError, match='parity frames are corrupt .label 3 of 3 classes'):
        frames_of(replace(model, info=replace(model.info, parity_frames=text)))
