# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Model files: what they hold, what they tell, and how others are refused."""

from collections.abc import Iterable
from dataclasses import replace
import json
import logging
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, TensorProto
import onnxruntime
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import checksum, ModelError, ModelInfo, Segmenter
from segret_ros.inference.engines.devices import CUDA
from segret_ros.inference.parity_frames import compressed, decode, decompressed, encode
from segret_ros.labels.label_set import LabelSet
from segret_ros.network import SegRet
from segret_train.onnx_model import save_model, store_as_half, to_onnx
from segret_train.protocol import predict

SIZE = (96, 160)
WAY_OUT = 'segret_export CHECKPOINT'
CALIBRATION = ('temperature', 'calibration_error', 'calibration_data')  # keys, as they came
LABEL = np.zeros(SIZE, np.uint8)
MAKING = ('checkpoint_sha256', 'opset', 'tools')


@pytest.fixture(scope='module')
def half_model(network: SegRet) -> onnx.ModelProto:
    """Return the network of 96 x 160 with float16 weights."""
    model = to_onnx(network, SIZE)
    store_as_half(model)
    return model


@pytest.fixture
def changeable(network_file: Path, tmp_path: Path) -> Path:
    """Copy the model file."""
    path = tmp_path / 'changed.onnx'
    path.write_bytes(network_file.read_bytes())
    return path


def change_metadata(path: Path, **changes: str | None) -> None:
    """Write properties of a model file again, or leave those that are None out."""
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata.update({f'segret.{key}': value for key, value in changes.items()})
    del metadata[checksum.KEY]  # a file of an older version has none
    model.ClearField('metadata_props')
    for key, value in metadata.items():
        if value is not None:
            model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)


def random_image() -> np.ndarray:
    """Make an (H, W, 3) uint8 RGB image of noise."""
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


def refusal(path: Path) -> str:
    """Return the message that refuses a file; it names the file and the way out."""
    with pytest.raises(ModelError) as caught:
        Segmenter(path, device='cpu')
    assert str(path) in str(caught.value)
    assert WAY_OUT in str(caught.value)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def proper_shape(shape: Iterable[int]) -> tuple[int, ...]:
    """Return a shape without ones, in any order, as a transposed weight has it too."""
    return tuple(sorted(length for length in shape if length > 1))


def test_the_decay_is_no_table_of_cells_by_cells(half_model: onnx.ModelProto,
                                                 network: SegRet) -> None:
    weights = {proper_shape(value.shape) for value in network.state_dict().values()}
    constants = [*half_model.graph.initializer, *(
        attribute.t for node in half_model.graph.node for attribute in node.attribute
        if attribute.HasField('t'))]
    beside = [tuple(tensor.dims) for tensor in constants
              if proper_shape(tensor.dims) not in weights]
    assert beside
    # The smallest such table, of the 3 x 5 cells of the last stage, has 225 a head and 8 heads.
    assert not [shape for shape in beside if np.prod(shape) > 256]


def test_large_weights_are_half_and_cast(half_model: onnx.ModelProto) -> None:
    types = {tensor.name: tensor.data_type for tensor in half_model.graph.initializer}
    sizes = {tensor.name: np.prod(tensor.dims) for tensor in half_model.graph.initializer}
    large = {name for name, size in sizes.items() if size >= 1024}
    assert len(large) > 50
    assert {types[name] for name in large} == {TensorProto.FLOAT16}
    cast = {node.input[0] for node in half_model.graph.node if node.op_type == 'Cast'}
    assert large <= cast
    readers = {name for node in half_model.graph.node if node.op_type != 'Cast'
               for name in node.input}
    assert not large & readers


def test_half_weights_give_almost_the_same_labels(half_model: onnx.ModelProto, network: SegRet,
                                                  network_file: Path, tmp_path: Path) -> None:
    path = tmp_path / 'half.onnx'
    save_model(half_model, replace(Segmenter(network_file, 'cpu').info, input_size=SIZE), path)
    image = random_image()
    assert np.mean(Segmenter(path, 'cpu')(image).label == predict(network, image)) > 0.99
    assert path.stat().st_size < 0.6 * network_file.stat().st_size


@pytest.mark.parametrize('miou', [None, 0.625])
def test_metadata_is_kept(half_model: onnx.ModelProto, miou: float | None,
                          tmp_path: Path) -> None:
    info = ModelInfo(
        labels=LabelSet(('road', 'Fußgänger', '"tree"'), ((1, 2, 3), (0, 0, 0), (255, 0, 9))),
        input_size=SIZE, variant='nano', training_data='CamVid train, 367 frames', miou=miou,
        miou_data='CamVid val', source='best.safetensors', temperature=1.375,
        calibration_error=(0.0625, 0.03), calibration_data='CamVid val, 3 frames',
        checkpoint_sha256='0f' * 32, opset=20, tools={'torch': '2.13.0+cpu', 'onnx': '1.23.2'})
    save_model(half_model, info, tmp_path / 'told.onnx')
    assert Segmenter(tmp_path / 'told.onnx', 'cpu').info == info


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    told = refusal(tmp_path / 'no.onnx')
    assert 'no such model file' in told and f'or take the shipped {default_model()}' in told
    for nothing in (None, 3):
        with pytest.raises(ModelError, match=f'the model is {nothing}: give the path of a model '
                                             'file, or take the shipped'):
            Segmenter(nothing)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert 'a folder, not a model file' in refusal(tmp_path)


def test_a_model_without_metadata_is_refused(tmp_path: Path) -> None:
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in 'xy'}
    graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'relu', [value['x']],
                              [value['y']])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17)]),
              tmp_path / 'relu.onnx')
    assert "segret.format is None, not 'segret_ros model 1'" in refusal(tmp_path / 'relu.onnx')


@pytest.mark.parametrize(('changes', 'value'), [
    ({'format': 'segret_ros model 2'},
     "'segret_ros model 2', of a later version of segret_ros, and this one reads "
     "'segret_ros model 1': update segret_ros, or make"),
    ({'format': 'segret_ros model 0'}, "'segret_ros model 0', not 'segret_ros model 1'; make"),
    ({'format': 'another model 2'}, "'another model 2', not 'segret_ros model 1'; make"),
    ({'palette': None}, "'segret.palette'"),
    ({'class_names': '["road", '}, 'corrupt'),
    ({'class_names': '["road", "car", 3]'}, 'class name 3: it must be a string'),
    ({'class_names': '[' * 10 ** 5}, 'corrupt'),
    ({'class_names': '["road", "car"]'}, '2 class names and 3 colours'),
    ({'class_names': '["road", "car", "car"]'}, 'twice: car'),
    ({'palette': '[[1, 2, 3], [1, 2, 3], [1, 2, 256]]'}, '(1, 2, 256)'),
    ({'palette': '[1, 2, 3]'}, 'corrupt'),
    ({'input_size': '[64]'}, 'corrupt'),
    ({'input_size': 'null'}, 'corrupt'),
    ({'input_size': '[Infinity, 96]'}, 'corrupt'),
    ({'miou': 'good'}, 'corrupt'),
    ({'source': None}, "'segret.source'"),
    ({'temperature': '0'}, 'temperature is 0.0: it must be 0.01..100'),
    ({'temperature': '-1.5'}, 'temperature is -1.5'),
    ({'temperature': 'nan'}, 'temperature is nan'),
    ({'temperature': 'inf'}, 'temperature is inf'),
    ({'temperature': 'warm'}, "'warm'"),
    ({'temperature': ''}, 'corrupt'),
    ({'calibration_error': '[0.1]'}, 'calibration error is (0.1,)'),
    ({'calibration_error': '[0.1, NaN]'}, 'calibration error is (0.1, nan)'),
    ({'calibration_error': 'low'}, 'corrupt'),
    ({'opset': 'new'}, 'corrupt'),
    ({'opset': '[20]'}, 'corrupt'),
    ({'opset': 'Infinity'}, 'corrupt'),
    ({'tools': 'torch 2.13'}, 'corrupt'),
    ({'tools': '[20]'}, 'corrupt'),
])
def test_damaged_metadata_is_refused(changeable: Path, changes: dict, value: str) -> None:
    change_metadata(changeable, **changes)
    assert value in refusal(changeable)


def test_metadata_that_is_no_text_is_refused_without_a_word_of_another_kind(
        changeable: Path, capfd: pytest.CaptureFixture) -> None:
    content = changeable.read_bytes().replace(b'none: random weights', b'none: random weight\xff')
    changeable.write_bytes(checksum.sealed(content))
    assert 'its metadata is corrupt' in refusal(changeable)
    changeable.write_bytes(content[:len(content) // 2])
    refusal(changeable)
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('absent', [MAKING, CALIBRATION + MAKING])
def test_a_file_of_an_older_version_labels_as_ever(changeable: Path, network_file: Path,
                                                   absent: tuple[str, ...]) -> None:
    change_metadata(changeable, **dict.fromkeys(absent))
    older, image = Segmenter(changeable, 'cpu'), random_image()
    np.testing.assert_array_equal(older(image).label, Segmenter(network_file, 'cpu')(image).label)
    info = older.info
    assert (info.temperature, info.calibration_error, info.calibration_data) == (1, None, '')
    assert (info.checkpoint_sha256, info.opset, info.tools) == ('', None, {})


def test_the_shipped_file_labels() -> None:
    shipped = Segmenter(default_model(), 'cpu')
    label = shipped(random_image()).label
    assert label.shape == SIZE
    assert label.max() < len(shipped.info.labels) == 11


def test_keys_that_this_version_does_not_know_are_ignored(changeable: Path,
                                                          network_file: Path) -> None:
    change_metadata(changeable, licence='of a later version')
    newer, known = Segmenter(changeable, 'cpu'), Segmenter(network_file, 'cpu')
    image = random_image()
    assert newer.info == known.info
    np.testing.assert_array_equal(newer(image).label, known(image).label)


@pytest.mark.parametrize('changes', [
    {'input_size': '[64, 64]'},
    {'class_names': '["road"]', 'palette': '[[1, 2, 3]]'},
])
def test_metadata_of_another_graph_is_refused(changeable: Path, changes: dict) -> None:
    change_metadata(changeable, **changes)
    message = refusal(changeable)
    assert '[1, 64, 96, 3]' in message
    assert '[1, 3, 16, 24]' in message


def test_properties_are_strings(network_file: Path) -> None:
    metadata = {entry.key: entry.value for entry in onnx.load(network_file).metadata_props}
    assert json.loads(metadata['segret.class_names']) == ['road', 'car', 'tree']
    assert json.loads(metadata['segret.input_size']) == [64, 96]


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(),
                    reason='this ONNX Runtime has CUDA')
def test_auto_falls_back_to_the_cpu_and_says_so(network_file: Path,
                                                caplog: pytest.LogCaptureFixture) -> None:
    engine = logging.getLogger('segret_ros.inference.engines.engine')
    engine.addHandler(caplog.handler)  # launch, where it is installed, cuts loggers off the root
    with caplog.at_level(logging.INFO, engine.name):
        assert Segmenter(network_file, device='auto').engine.device in ('cpu', 'openvino')
    engine.removeHandler(caplog.handler)
    assert 'cpu' in caplog.text.lower()


def frames_text(array: np.ndarray, **damages: str) -> str:
    """Return the text of a parity frame with such a label, with parts of it corrupted."""
    entry, = json.loads(encode([(compressed(random_image()), array)]))
    return json.dumps([entry | damages])


def test_parity_frames_are_kept() -> None:
    label = random_image()[:, :, 0]
    frame, = decode(frames_text(label))
    np.testing.assert_array_equal(frame.label, label)
    np.testing.assert_array_equal(frame.image_rgb, decompressed(compressed(random_image())))
    assert decode('') == []


@pytest.mark.parametrize('text', [
    '5', 'null', '[5]', '[{}]', '[{"image": 5, "label": 5}]', '[', '{"a": 1}',
    frames_text(LABEL, label='!'), frames_text(LABEL, label=''), frames_text(LABEL, image=''),
    frames_text(LABEL, label='bm8gUE5H'), frames_text(LABEL, image='bm8gSlBFRw=='),
    frames_text(LABEL[1:]), frames_text(LABEL[:, :, None].repeat(3, 2)),
    frames_text(LABEL.astype(np.uint16))], ids=lambda text: text[:12])
def test_damaged_parity_frames_are_reported(text: str) -> None:
    with pytest.raises(ValueError, match=r'^its parity frames are corrupt \([^\n]+\)$'):
        decode(text)
