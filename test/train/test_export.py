# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Exports that reproduce their checkpoint, or are not written."""

from collections.abc import Callable
from dataclasses import replace
import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from unittest.mock import Mock

import cv2
import numpy as np
import onnx
import pytest
from segret_ros.files.output_folder import OutputError
from segret_ros.inference import Model
from segret_ros.labels.label_set import load_label_set
from segret_ros.network import save_checkpoint, SegRet
from segret_train import export as export_module, onnx_model
from segret_train.agreement import Agreement, ExportError
from segret_train.calibration import CalibrationError
from segret_train.datasets import DataSet
from segret_train.export import export
import torch

FRAMES = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
          for seed in range(2)]
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, ROOT / 'test' / 'train' / 'small_nano.py', 'export']


@pytest.fixture(scope='module')
def checkpoint(small_nano: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a checkpoint of two classes."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('checkpoint') / 'two.safetensors'
    save_checkpoint(SegRet('nano', 2), path, ['road', 'other'], [[1, 2, 3], [4, 5, 6]],
                    {'data': 'two streets', 'val_miou': 0.5, 'val_data': 'a third'})
    return path


@pytest.fixture(scope='module')
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Agreement]:
    """Export the checkpoint for 64 x 96; return the model file and its agreement."""
    output = tmp_path_factory.mktemp('exported') / 'two.onnx'
    return output, export(checkpoint, output, (64, 96), FRAMES)


def test_the_file_has_the_metadata_of_the_checkpoint(exported: tuple[Path, Agreement]) -> None:
    output, agreement = exported
    info = Model.load(output).info
    assert agreement.share >= 0.999
    assert info.labels.names == ('road', 'other')
    assert info.labels.colors == ((1, 2, 3), (4, 5, 6))
    assert (info.input_size, info.variant) == ((64, 96), 'nano')
    assert (info.training_data, info.miou, info.miou_data) == ('two streets', 0.5, 'a third')
    assert info.source.startswith('two.safetensors, sha256 ')
    assert (info.temperature, info.calibration_error) == (1, None)


def test_the_file_records_how_it_was_made(checkpoint: Path,
                                          exported: tuple[Path, Agreement]) -> None:
    info, model = Model.load(exported[0]).info, onnx.load(exported[0])
    assert info.checkpoint_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [('', info.opset)]
    assert info.tools.keys() == {'segret_ros', 'torch', 'onnxscript', 'onnx-ir', 'onnx', 'opencv'}
    assert info.tools['opencv'] == cv2.__version__  # it makes the JPEGs of the parity frames
    assert (info.tools['torch'], info.tools['onnx']) == (torch.__version__, onnx.__version__)


def test_another_process_in_another_folder_writes_the_same_bytes(
        checkpoint: Path, exported: tuple[Path, Agreement], tmp_path: Path) -> None:
    shutil.copy(checkpoint, tmp_path)
    for index, frame in enumerate(FRAMES):
        cv2.imwrite(str(tmp_path / f'{index}.png'), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    subprocess.run([*COMMAND, checkpoint.name, '--output', 'again.onnx', '--input-size', '64',
                    '96', '--frames', '.'], cwd=tmp_path, check=True, capture_output=True,
                   env=os.environ | {'PYTHONHASHSEED': '1', 'PYTHONPATH': str(ROOT)})
    assert (tmp_path / 'again.onnx').read_bytes() == exported[0].read_bytes()


def test_a_tool_without_a_version_is_refused(checkpoint: Path, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, 'TOOLS', ('torch', 'segret-of-a-source-tree'))
    with pytest.raises(ValueError, match='the version of segret-of-a-source-tree is not known.* '
                                         'install the package with pip'):
        export(checkpoint, tmp_path / 'x.onnx', (64, 96), FRAMES)


def test_the_file_contains_no_path_of_the_machine(checkpoint: Path,
                                                  exported: tuple[Path, Agreement]) -> None:
    model = onnx.load(exported[0])
    for tensor in model.graph.initializer:
        tensor.ClearField('raw_data')  # chance bytes
    text = str(model)
    assert 'two streets' in text
    assert not [path for path in ('.py', str(ROOT), str(checkpoint.parent)) if path in text]
    assert 'pkg.' not in text  # the notes of PyTorch's exporter and onnxscript's optimiser


def test_labels_that_differ_are_not_written(
        checkpoint: Path, exported: tuple[Path, Agreement], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    def inverted(*arguments) -> onnx.ModelProto:
        model = onnx.load(exported[0])
        weights = next(tensor for tensor in model.graph.initializer
                       if tensor.name.endswith('classify.weight'))
        array = onnx.numpy_helper.to_array(weights)
        weights.CopyFrom(onnx.numpy_helper.from_array(-array, weights.name))
        return model

    monkeypatch.setattr(export_module, 'to_onnx', inverted)
    with pytest.raises(ExportError, match=r'two.onnx: not written, because only \d+'):
        export(checkpoint, tmp_path / 'two.onnx', (64, 96), FRAMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_checkpoint_that_gives_no_numbers_is_refused(tmp_path: Path, value: float) -> None:
    network = SegRet('nano', 2)
    with torch.no_grad():
        network.decoder.classify.bias[1] = value
    save_checkpoint(network, tmp_path / 'nan.safetensors', ['road', 'other'],
                    [[1, 2, 3], [4, 5, 6]], {})
    with pytest.raises(ExportError, match=r'nan.safetensors: its logits are NaN or infinite.* '
                                          'take an earlier checkpoint, or train again'):
        export(tmp_path / 'nan.safetensors', tmp_path / 'nan.onnx', (64, 96), FRAMES)
    assert not (tmp_path / 'nan.onnx').exists()


@pytest.mark.parametrize(('name', 'reason'), [
    ('model.txt', 'its name does not end in .onnx; give a file NAME.onnx in a folder that'),
    ('folder.onnx', 'is no file that can be replaced'),
    ('checkpoint.onnx', 'is the input'), ('link.onnx', 'is the input'),
    ('mine.onnx', 'is no earlier output of this kind'),
    ('file/model.onnx', r"it can't be written \(Not a dir"),
    ('/proc/model.onnx', r"it can't be written \(No such"),
    ('n' * 300 + '.onnx', r"it can't be written \(File name too long")])
def test_an_unusable_output_is_refused_first(tmp_path: Path, name: str, reason: str) -> None:
    checkpoint, mine = tmp_path / 'checkpoint.onnx', tmp_path / 'mine.onnx'
    checkpoint.write_bytes(b'not even read')
    mine.write_bytes(b'another network')
    (tmp_path / 'link.onnx').symlink_to(checkpoint)
    (tmp_path / 'folder.onnx').mkdir()
    (tmp_path / 'file').touch()
    with pytest.raises((ExportError, OutputError), match=f'{tmp_path / name}:? .*{reason}'):
        export(checkpoint, tmp_path / name, (64, 96), FRAMES)
    assert (checkpoint.read_bytes(), mine.read_bytes()) == (b'not even read', b'another network')


def test_an_output_in_a_new_folder_is_not_refused(tmp_path: Path) -> None:
    export_module.claim_output(tmp_path / 'new' / 'model.onnx', [tmp_path / 'checkpoint'])
    assert not list(tmp_path.iterdir())


def save_colourless(path: Path) -> None:
    """Write a checkpoint as mmsegmentation does, whose palette is drawn at random."""
    state = {re.sub(r'(?<=levels\.)\d', lambda match: str(int(match[0]) + 1), key): value
             for key, value in SegRet('nano', 2).state_dict().items()}  # they count from 1
    torch.save({'state_dict': state,
                'meta': {'CLASSES': ('road', 'other'), 'PALETTE': 'random'}}, path)


def test_ranges_of_a_foreign_drive_are_a_warning(exported: tuple[Path, Agreement]) -> None:
    path, found = exported
    info = replace(Model.load(path).info, precision='int8')
    camvid = replace(info, labels=load_label_set('camvid'))
    warned = [export_module.report(path, found, replace(one, quantised_on=source))
              .count('Warning: the ranges of int8 were measured on the sample drive')
              for one, source in ((info, 'sample_drive, 67 frames'), (info, 'yard, 40 frames'),
                                  (camvid, 'sample_drive, 67 frames'))]
    assert warned == [1, 0, 0]


@pytest.mark.parametrize('arguments, message', [
    (['missing.safetensors'], 'missing.safetensors: no such checkpoint file'),
    (['CHECKPOINT', '--labels', 'camvid'], 'has 2 classes, the label set 11'),
    (['CHECKPOINT', '--labels', 'mars'], 'no label set mars'),
    (['COLOURLESS'], 'has no usable class names and colours (2 class names and 0 colours'),
    (['CHECKPOINT', '--input-size', '31', '64'], 'both sides must be at least 32'),
    (['CHECKPOINT', '--input-size', '20000000', '20000000'],
     "--input-size is (20000000, 20000000): the network can't be run at it"),
    (['CHECKPOINT', '--data', 'EMPTY'], 'no images/val/*.jpg; CamVid is laid out as'),
    (['CHECKPOINT', '--dataset', 'cityscapes'], 'give --data FOLDER too, or leave them out'),
    (['CHECKPOINT', '--frames', 'EMPTY'], 'is neither a folder of images'),
    (['CHECKPOINT', '--frames', 'CORRUPT'], 'image.jpg: not a readable image'),
    (['CHECKPOINT', '--quantise-on', 'EMPTY'], '--quantise-on measures the ranges of int8: give'),
    (['CHECKPOINT', '--precision', 'int8', '--quantise-on', 'EMPTY'], 'is neither a folder of im'),
    (['CHECKPOINT', '--precision', 'int8', '--quantise-on', 'MISSING'], 'nor a bag'),
])
def test_a_users_mistake_is_one_line(
        checkpoint: Path, tmp_path: Path, arguments: list[str], message: str,
        call: Callable) -> None:
    places = {name: tmp_path / name.lower() for name in ('EMPTY', 'CORRUPT', 'MISSING')}
    places |= {'CHECKPOINT': checkpoint, 'COLOURLESS': tmp_path / 'colourless.pth'}
    for name in ('EMPTY', 'CORRUPT'):
        places[name].mkdir()
    (places['CORRUPT'] / 'image.jpg').write_bytes(b'no image')
    save_colourless(places['COLOURLESS'])
    code, _, error = call(export_module.main, '--output', tmp_path / 'x.onnx',
                          *(places.get(argument, argument) for argument in arguments))
    assert (code, len(error.splitlines())) == (1, 1) and message in error
    assert not (tmp_path / 'x.onnx').exists()


@pytest.mark.parametrize('error', [MemoryError('allocate 9 GiB'), RuntimeError('allocate 9 GiB')])
def test_an_input_that_takes_too_much_memory_is_refused(
        checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        error: Exception) -> None:
    monkeypatch.setattr(SegRet, 'forward', Mock(side_effect=error))  # NumPy's and PyTorch's
    with pytest.raises(ExportError, match=r'--input-size is \(64, 96\): .* \(allocate 9 GiB\); '
                                          'give a smaller one'):
        export(checkpoint, tmp_path / 'x.onnx', (64, 96), FRAMES)


def test_data_of_other_classes_is_refused_at_once(checkpoint: Path, camvid: DataSet,
                                                  tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r'two.safetensors: its classes \(road, other, ...\)'
                                               r" are not CamVid's \(sky, building, pole, ...\), "
                                               '.* leave --data out'):
        export(checkpoint, tmp_path / 'two.onnx', (64, 64), [], calibrate_on=camvid)
    assert not (tmp_path / 'two.onnx').exists()
