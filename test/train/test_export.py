# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Exports that reproduce their checkpoint, or are not written."""

from dataclasses import replace
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import onnx
import pytest
from segret_ros.files.output_folder import OutputError
from segret_ros.files.share import default_model
from segret_ros.inference import Model
from segret_ros.labels.label_set import load_label_set
from segret_ros.network import save_checkpoint, SegRet
from segret_train import export as export_module, onnx_model
from segret_train.calibration import CalibrationError
from segret_train.datasets import open_data_set
from segret_train.export import Agreement, export, ExportError
import torch

FRAMES = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
          for seed in range(2)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    subprocess.run([sys.executable, '-m', 'segret_train.export', checkpoint.name, '--output',
                    'again.onnx', '--input-size', '64', '96', '--frames', '.'], cwd=tmp_path,
                   env=os.environ | {'PYTHONHASHSEED': '1'}, check=True, capture_output=True)
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
    told = str(model)
    assert 'two streets' in told
    assert not [path for path in ('.py', str(ROOT), str(checkpoint.parent)) if path in told]
    assert 'pkg.' not in told  # the notes of PyTorch's exporter and onnxscript's optimiser


@pytest.mark.parametrize(('openvino_share', 'lines', 'said'), [
    (None, 1, '99.9500% of labels'), (0.9991, 2, 'rounding of this processor, 99.91'),
    (0.99, 3, 'less than 99.5%: run this model on device cpu')])
def test_an_engine_that_rounds_too_much_is_reported(tmp_path: Path, openvino_share: float | None,
                                                    lines: int, said: str) -> None:
    (tmp_path / 'model.onnx').write_bytes(b'')
    told = export_module.report(tmp_path / 'model.onnx',
                                export_module.Agreement(0.9995, 'float32', 'float16',
                                                        openvino_share),
                                Model.load(default_model()).info)
    assert len(told.splitlines()) == lines
    assert said in told


def test_openvino_is_compared_too_where_it_is_installed(
        exported: tuple[Path, Agreement]) -> None:
    pytest.importorskip('openvino', reason='needs openvino, an extra')
    assert 0.9 < exported[1].openvino_share <= 1


def test_a_file_that_openvino_cannot_load_is_written_all_the_same(
        exported: tuple[Path, Agreement], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('openvino', reason='needs openvino, an extra')
    from segret_ros.inference.engines import openvino as openvino_engine

    def compile_model(*arguments) -> None:
        raise RuntimeError('no such instruction\nin a long story')

    monkeypatch.setattr(openvino_engine, '_rounds', lambda: False)
    monkeypatch.setattr(openvino_engine, '_core',
                        lambda: SimpleNamespace(read_model=bytes, compile_model=compile_model))
    share, problem = export_module.openvino_share(exported[0], FRAMES, [])
    assert (share, problem) == (None, 'no such instruction')
    told = export_module.report(exported[0], Agreement(1, 'float32', 'float16', share, problem),
                                Model.load(exported[0]).info)
    assert told.splitlines()[1] == ("OpenVINO can't load it on this processor (no such "
                                    'instruction): run this model on device cpu')


def test_labels_that_differ_are_not_written(
        checkpoint: Path, exported: tuple[Path, Agreement], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*arguments) -> onnx.ModelProto:
        model = onnx.load(exported[0])
        weights = next(tensor for tensor in model.graph.initializer
                       if tensor.name.endswith('classify.weight'))
        array = onnx.numpy_helper.to_array(weights)
        weights.CopyFrom(onnx.numpy_helper.from_array(-array, weights.name))
        return model

    monkeypatch.setattr(export_module, 'to_onnx', damaged)
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
    ('model.txt', 'its name does not end in .onnx'), ('model', 'its name does not end in .onnx'),
    ('folder.onnx', 'it is a folder'), ('checkpoint.onnx', 'it is the checkpoint'),
    ('link.onnx', 'it is the checkpoint'), ('file/model.onnx', "it can't be written (Not a dir"),
    ('/proc/model.onnx', "it can't be written (No such"),
    ('n' * 300 + '.onnx', "it can't be written (File name too long")])
def test_an_output_that_will_not_do_is_refused_first(tmp_path: Path, name: str,
                                                     reason: str) -> None:
    checkpoint = tmp_path / 'checkpoint.onnx'
    checkpoint.write_bytes(b'not even read')
    (tmp_path / 'link.onnx').symlink_to(checkpoint)
    (tmp_path / 'folder.onnx').mkdir()
    (tmp_path / 'file').touch()
    with pytest.raises(ExportError) as caught:
        export(checkpoint, tmp_path / name, (64, 96), FRAMES)
    assert f'--output is {tmp_path / name}: {reason}' in str(caught.value)
    assert 'give a file NAME.onnx in a folder that you may write to' in str(caught.value)
    assert checkpoint.read_bytes() == b'not even read'


def test_a_users_file_is_not_written_over(tmp_path: Path) -> None:
    checkpoint, mine = tmp_path / 'checkpoint.pth', tmp_path / 'mine.onnx'
    checkpoint.write_bytes(b'not even read')
    mine.write_bytes(b'another network')
    with pytest.raises(OutputError, match='mine.onnx is no earlier output of this kind'):
        export(checkpoint, mine, (64, 96), FRAMES)
    assert mine.read_bytes() == b'another network'


def test_an_output_in_a_new_folder_is_not_refused(tmp_path: Path) -> None:
    export_module.refuse_output(tmp_path / 'new' / 'model.onnx', tmp_path / 'checkpoint')
    assert not list(tmp_path.iterdir())


def save_colourless(path: Path) -> None:
    """Write a checkpoint as mmsegmentation does, with a palette to be drawn by lot."""
    state = {re.sub(r'(?<=levels\.)\d', lambda match: str(int(match[0]) + 1), key): value
             for key, value in SegRet('nano', 2).state_dict().items()}  # they count from 1
    torch.save({'state_dict': state,
                'meta': {'CLASSES': ('road', 'other'), 'PALETTE': 'random'}}, path)


def test_ranges_of_a_foreign_drive_are_a_warning(exported: tuple[Path, Agreement]) -> None:
    path, agreement = exported
    info = replace(Model.load(path).info, precision='int8')
    camvid = replace(info, labels=load_label_set('camvid'))
    warned = [export_module.report(path, agreement, replace(one, quantised_on=source))
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
    (['CHECKPOINT', '--dataset', 'cityscapes'], 'give --data FOLDER too, or leave it out'),
    (['CHECKPOINT', '--frames', 'EMPTY'], 'is neither a folder of images'),
    (['CHECKPOINT', '--frames', 'DAMAGED'], 'image.jpg: not a readable image'),
])
def test_a_users_mistake_is_one_line(
        checkpoint: Path, tmp_path: Path, arguments: list[str], message: str,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    for folder in ('empty', 'damaged'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'damaged' / 'image.jpg').write_bytes(b'no image')
    save_colourless(tmp_path / 'colourless.pth')
    places = {'COLOURLESS': str(tmp_path / 'colourless.pth'),
              'CHECKPOINT': str(checkpoint), 'EMPTY': str(tmp_path / 'empty'),
              'DAMAGED': str(tmp_path / 'damaged')}
    arguments = [places.get(argument, argument) for argument in arguments]
    monkeypatch.setattr(sys, 'argv', ['segret_export', *arguments, '--output',
                                      str(tmp_path / 'x.onnx')])
    assert export_module.main() == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and message in told
    assert not (tmp_path / 'x.onnx').exists()


@pytest.mark.parametrize('error', [MemoryError('allocate 9 GiB'), RuntimeError('allocate 9 GiB')])
def test_an_input_that_takes_too_much_memory_is_refused(
        checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        error: Exception) -> None:
    monkeypatch.setattr(SegRet, 'forward', Mock(side_effect=error))  # NumPy's and PyTorch's
    with pytest.raises(ExportError, match=r'--input-size is \(64, 96\): .* \(allocate 9 GiB\); '
                                          'give a smaller one'):
        export(checkpoint, tmp_path / 'x.onnx', (64, 96), FRAMES)


def camvid_tree(root: Path) -> Path:
    """Write one validation frame in CamVid's layout."""
    for kind in ('images', 'labels'):
        (root / kind / 'val').mkdir(parents=True)
    cv2.imwrite(str(root / 'images' / 'val' / 'drive_00030.jpg'), FRAMES[0])
    label = np.random.default_rng(2).integers(0, 12, (64, 64), np.uint8)
    cv2.imwrite(str(root / 'labels' / 'val' / 'drive_00030.png'), label)
    return root


def test_data_of_other_classes_is_refused_at_once(checkpoint: Path, tmp_path: Path) -> None:
    data = open_data_set('camvid', camvid_tree(tmp_path / 'camvid'))
    with pytest.raises(CalibrationError, match=r'two.safetensors: its classes \(road, other, ...\)'
                                               r" are not CamVid's \(sky, building, pole, ...\), "
                                               '.* leave --data out'):
        export(checkpoint, tmp_path / 'two.onnx', (64, 64), [], calibrate_on=data)
    assert not (tmp_path / 'two.onnx').exists()


def test_checkpoint_and_model_file_validate_alike(tmp_path: Path) -> None:
    torch.manual_seed(1)
    palette = [[index] * 3 for index in range(11)]
    checkpoint = tmp_path / 'eleven.safetensors'
    save_checkpoint(SegRet('nano', 11), checkpoint, list('abcdefghijk'), palette, {})
    export(checkpoint, tmp_path / 'eleven.onnx', (64, 64), FRAMES)
    data = camvid_tree(tmp_path / 'camvid')
    subprocess.run([sys.executable, '-m', 'segret_train.validate', checkpoint,
                    tmp_path / 'eleven.onnx', '--data', data, '--device', 'cpu', '--json',
                    tmp_path / 'scores.json'], capture_output=True, check=True)
    models = json.loads((tmp_path / 'scores.json').read_text())['models']
    scores = [[model['mean_iou'], *(found['iou'] for found in model['classes'])]
              for model in models]
    np.testing.assert_allclose(np.array(scores, float)[0], np.array(scores, float)[1], atol=1e-3)
