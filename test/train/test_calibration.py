# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A known temperature is recovered; the calibration error is counted by hand."""

from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
import sys

import cv2
import numpy as np
import onnx
import pytest
from segret_ros.inference import Model
from segret_ros.labels.label_set import load_label_set
from segret_ros.network import MEAN, save_checkpoint, SegRet, STD
from segret_train import export
from segret_train.calibration import (
    calibrate,
    calibration_error,
    CalibrationError,
    fit_temperature,
    main,
    report,
)
from segret_train.datasets import open_data_set
from segret_train.onnx_model import save_model
from small_nano import spread_network
import torch
from torch import Tensor
from torch.nn import functional

CAMVID = load_label_set('camvid')
SIZE = (96, 128)
TRUE_TEMPERATURE = 2.5
FRAMES = [cv2.resize(np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8),
                     SIZE[::-1], interpolation=cv2.INTER_CUBIC) for seed in range(3)]


@pytest.fixture(scope='module')
def drawn() -> tuple[Tensor, Tensor]:
    """Return logits of five classes, and labels drawn with their probabilities."""
    torch.manual_seed(0)
    logits = torch.randn(20_000, 5) * 2
    return logits, torch.multinomial(logits.softmax(1), 1)[:, 0]


@pytest.mark.parametrize('factor', [0.3, 1.0, 2.5, 8.0])
def test_a_known_temperature_is_found(drawn: tuple[Tensor, Tensor], factor: float) -> None:
    logits, label = drawn
    assert fit_temperature(logits * factor, label) == pytest.approx(factor, rel=0.03)


def test_calibration_lowers_the_error(drawn: tuple[Tensor, Tensor]) -> None:
    logits, label = drawn[0] * 3, drawn[1]
    assert calibration_error(logits, label) > 0.15
    assert calibration_error(logits / fit_temperature(logits, label), label) < 0.01


@pytest.mark.parametrize('label', ['random', 'none', 'always right'])
def test_what_no_temperature_fits_is_refused(drawn: tuple[Tensor, Tensor], label: str) -> None:
    logits = drawn[0]
    chosen = {'random': (logits, logits.argmin(1)), 'always right': (logits, logits.argmax(1)),
              'none': (logits[:0], drawn[1][:0])}[label]
    if label == 'always right':  # and surely so, to the last digit of a softmax
        chosen = functional.one_hot(chosen[1], 5).float() * 100, chosen[1]
    with pytest.raises(CalibrationError, match=f'fit {len(chosen[1])} labelled pixels'):
        fit_temperature(*chosen)


def test_the_error_by_hand() -> None:
    confidence = torch.tensor([0.9, 0.9, 0.62, 0.65, 0.51])
    logits = torch.stack([confidence, 1 - confidence], dim=1).log()
    label = torch.tensor([0, 1, 0, 0, 1])
    # Bins of 1/15: 0.9 twice, one right; 0.62 and 0.65, both right; 0.51, wrong.
    expected = (abs(1.8 - 1) + abs(1.27 - 2) + abs(0.51 - 0)) / 5
    assert calibration_error(logits, label) == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope='module')
def network(small_nano: None) -> SegRet:
    """Return a network of CamVid's classes, with random weights and well-spread logits."""
    return spread_network(len(CAMVID), SIZE, spread=6)


@pytest.fixture(scope='module')
def data(network: SegRet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write frames with labels drawn from the network's softmax at `TRUE_TEMPERATURE`."""
    root = tmp_path_factory.mktemp('camvid')
    for kind in ('images', 'labels'):
        (root / kind / 'val').mkdir(parents=True)
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(root / 'images' / 'val' / f'{number}.jpg'), frame[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, 100])
        batch = (torch.from_numpy(frame) - torch.tensor(MEAN)) / torch.tensor(STD)
        with torch.inference_mode():
            logits = functional.interpolate(network(batch.permute(2, 0, 1)[None]), SIZE,
                                            mode='bilinear')[0].flatten(1).T
        label = torch.multinomial((logits / TRUE_TEMPERATURE).softmax(1), 1).numpy()
        label = label.astype(np.uint8).reshape(SIZE)
        label[:20] = 11  # unlabelled
        cv2.imwrite(str(root / 'labels' / 'val' / f'{number}.png'), label)
    return root


@pytest.fixture(scope='module')
def exported(network: SegRet, data: Path,
             tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Export and calibrate the network; return the model file and the command's output."""
    folder = tmp_path_factory.mktemp('model')
    save_checkpoint(network, folder / 'camvid.safetensors', list(CAMVID.names),
                    list(map(list, CAMVID.colors)), {})
    arguments = ['segret_export', folder / 'camvid.safetensors', '--output',
                 folder / 'camvid.onnx', '--input-size', *SIZE, '--frames',
                 data / 'images' / 'val', '--data', data]
    output = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(sys, 'argv', list(map(str, arguments)))
        assert export.main() == 0
    return folder / 'camvid.onnx', output.getvalue()


def test_export_finds_the_temperature_of_its_data(exported: tuple[Path, str]) -> None:
    info = Model.load(exported[0]).info
    assert info.temperature == pytest.approx(TRUE_TEMPERATURE, rel=0.05)
    assert info.calibration_error[0] > 0.1
    assert info.calibration_error[1] < 0.02
    assert info.calibration_data == 'CamVid val, 3 frames, 24576 pixels'
    assert report(info) in exported[1]
    assert f'{info.temperature:.3f}' in report(info)


def test_the_command_calibrates_a_model_file(exported: tuple[Path, str], data: Path,
                                             tmp_path: Path, call: Callable) -> None:
    calibrated = Model.load(exported[0]).info
    plain = replace(calibrated, temperature=1.0, calibration_error=None, calibration_data='')
    assert 'not calibrated: --data CAMVID' in report(plain)
    path = tmp_path / 'camvid.onnx'
    save_model(onnx.load(exported[0]), plain, path)
    code, output, _ = call(main, path, '--data', data)
    assert (code, output.splitlines()) == (0, [report(calibrated)])
    assert path.read_bytes() == exported[0].read_bytes()
    code, _, error = call(main, path, '--data', tmp_path)
    assert code == 1 and 'no images/val/*.jpg' in error and len(error.splitlines()) == 1
    assert calibrate(path, open_data_set('camvid', data)) == calibrated  # again
    assert path.read_bytes() == exported[0].read_bytes()
