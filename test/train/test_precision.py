# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Model files in float16 and int8: their types, and that the parity check refuses bad ones."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
import os
from pathlib import Path
import re
import subprocess
import sys

import cv2
import numpy as np
import onnx
from onnx import TensorProto
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import Model, Segmenter
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.engines.pytorch import weights_of
from segret_ros.inference.serving.parity import compare
from segret_ros.network import save_checkpoint, SegRet, VARIANTS
from segret_ros.offline.bags import BagWriter, serialize, TYPESTORE
from segret_train import export as export_module
from segret_train.export import export, ExportError
from segret_train.frame_sampling import FramesError, SAMPLE_DRIVE, sample_frames
from segret_train.onnx_model import save_model
from segret_train.protocol import predict
from segret_train.quantisation import LARGEST, LARGEST_PAIR, quantise, ranges_of, weight_scales
import torch
from torch import nn

SIZE = (120, 160)
FLOATS = {TensorProto.FLOAT: 'float32', TensorProto.FLOAT16: 'float16'}
FRAMES = list(sample_frames(SAMPLE_DRIVE, 4))


def place_of(name: str) -> str:
    """Return the name in a network of a weight in its model file."""
    name = re.sub(r'^stem\.(\d)', lambda found: f'backbone.stem.{3 * int(found[1])}', name)
    name = re.sub(r'^downsamples\.(\d)', r'backbone.downsamples.\1.0', name)
    name = re.sub(r'^decoder\.levels\.(\d)', r'decoder.levels.\1.linear', name)
    return re.sub(r'^(stages\.\d\.blocks\.\d\.)(\w+)', lambda found: 'backbone.' + found[1] + {
        'position': 'position', 'widen': 'ffn.0', 'narrow': 'ffn.2'}.get(
            found[2], f'retention.{found[2]}'), name)


@pytest.fixture(scope='module')
def trained() -> SegRet:
    """Return the network of the shipped model file, with norms that are the identity."""
    state = {place_of(name): torch.from_numpy(array.copy()) for name, array in
             weights_of(onnx.load(default_model()).graph).items()}
    fuse = {part: [state.pop(f'decoder.fuse.{level}.{part}') for level in (3, 2, 1, 0)]
            for part in ('weight', 'bias')}
    state['decoder.fuse.weight'] = torch.cat(fuse['weight'], 1)[:, :, None, None]
    state['decoder.fuse_norm.bias'] = fuse['bias'][3]
    for name, weight in state.items():
        if name.endswith('.position.weight'):
            weight[:, :, 1, 1] -= 1
        elif '.retention.key.' in name:
            weight *= (len(weight) / VARIANTS['nano'].heads[int(name.split('.')[2])]) ** 0.5
    network = SegRet('nano', 11, decoder_channels=len(fuse['bias'][3])).eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_var.fill_(1 - norm.eps)
    assert not network.load_state_dict(state, strict=False).unexpected_keys
    return network


@pytest.fixture(scope='module')
def checkpoint(trained: SegRet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the shipped model's checkpoint."""
    labels = Model.load(default_model()).info.labels
    path = tmp_path_factory.mktemp('checkpoint') / 'trained.safetensors'
    save_checkpoint(trained, path, list(labels.names), [list(color) for color in labels.colors],
                    {})
    return path


@pytest.fixture(scope='module', autouse=True)
def traced_once() -> Iterator[None]:
    """Let the exports share the graphs of the one checkpoint: to trace it takes long."""
    def first_of(trace: Callable[..., onnx.ModelProto]) -> Callable[..., onnx.ModelProto]:
        traced: list[onnx.ModelProto] = []

        def copy_of_first(*arguments) -> onnx.ModelProto:
            if not traced:
                traced.append(trace(*arguments))
            return deepcopy(traced[0])
        return copy_of_first

    with pytest.MonkeyPatch.context() as patch:
        for name in ('to_onnx', 'to_half_onnx'):
            patch.setattr(export_module, name, first_of(getattr(export_module, name)))
        yield


@pytest.fixture(scope='module')
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of images from the camera."""
    return save(FRAMES, tmp_path_factory.mktemp('images') / 'street')


@pytest.fixture(scope='module')
def files(checkpoint: Path, street: Path,
          tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Export a model file in each precision except the default."""
    folder = tmp_path_factory.mktemp('precisions')
    paths = {precision: folder / f'{precision}.onnx' for precision in ('float16', 'int8')}
    for precision, path in paths.items():
        agreement = export(checkpoint, path, SIZE, FRAMES, precision=precision,
                           quantise_on=street)
        assert (agreement.weights, agreement.share > 0.99) == (precision, True)
    return paths


@pytest.fixture(scope='module')
def black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of images from a covered camera."""
    random = np.random.default_rng(0)
    return save(random.integers(0, 3, (2, 360, 480, 3), np.uint8),
                tmp_path_factory.mktemp('images') / 'black')


def save(frames: Iterable[np.ndarray], folder: Path) -> Path:
    """Write images as a folder of PNG files."""
    folder.mkdir()
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{index}.png'), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def test_the_network_of_these_tests_is_the_shipped_one(trained: SegRet) -> None:
    segmenter = Segmenter(default_model(), 'cpu')
    assert np.mean(segmenter(FRAMES[0]).label == predict(trained, FRAMES[0])) >= 0.999


@pytest.mark.parametrize('device', ['cpu', 'openvino'])
@pytest.mark.parametrize(('precision', 'least'), [('float16', 0.995), ('int8', 0.99)])
def test_every_precision_labels_as_the_network(files: dict[str, Path], trained: SegRet,
                                               device: str, precision: str,
                                               least: float) -> None:
    if device == 'openvino':
        pytest.importorskip('openvino', reason='needs openvino, an extra')
    segmenter = Segmenter(files[precision], device)
    assert segmenter.info.precision == precision
    assert segmenter.engine.name.endswith(f', {precision}')
    for frame in FRAMES[:2]:
        assert np.mean(segmenter(frame).label == predict(trained, frame, SIZE)) >= least


def test_int8_is_the_smaller_file(files: dict[str, Path]) -> None:
    assert files['int8'].stat().st_size < 0.65 * files['float16'].stat().st_size


def types_of(path: Path) -> dict[str, set[tuple[str, ...]]]:
    """Return the input float types of each kind of operator in a graph."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type
              for value in (*graph.value_info, *graph.input, *graph.output)}
    found: dict[str, set[tuple[str, ...]]] = {}
    for node in graph.node:
        taken = tuple(FLOATS[kinds[name]] for name in node.input if kinds.get(name) in FLOATS)
        found.setdefault(node.op_type, set()).add(taken)
    return found


@pytest.mark.parametrize('precision', ['float16', 'int8'])
def test_what_loses_by_float16_stays_in_float32(files: dict[str, Path], precision: str) -> None:
    types = types_of(files[precision])
    assert types['LayerNormalization'] == {('float32',) * 2}
    assert types['Softmax'] == {('float32',)}
    assert types['Sub'] <= {('float32',) * 2, ()}  # the image's mean; distances
    assert types['Mul'] == {('float32',) * 2}  # the image's scale; log decay times distance
    for products in ('MatMul', 'Conv', 'Gemm'):
        assert {kind for taken in types[products] for kind in taken} == {'float16'}
    assert ('float16',) in types['Gelu'] and ('float32',) not in types['Gelu']


def test_weights_keep_their_names(files: dict[str, Path]) -> None:
    shipped = set(weights_of(onnx.load(default_model()).graph))
    assert set(weights_of(onnx.load(files['float16']).graph)) == shipped
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(files['float16']).graph
             .initializer}
    assert {kinds[name] for name in shipped & kinds.keys()} == {TensorProto.FLOAT16}


def test_every_linear_layer_is_int8_and_symmetric(files: dict[str, Path]) -> None:
    graph = onnx.load(files['int8']).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    layers = [node for node in graph.node if node.op_type == 'Gemm']
    assert len(layers) == 80
    for layer in layers:
        data, weight = (made[name] for name in layer.input[:2])
        assert data.op_type == weight.op_type == 'DequantizeLinear'
        assert made[data.input[0]].op_type == 'QuantizeLinear'
        assert tensors[weight.input[0]].dtype == np.int8
        assert len(tensors[weight.input[1]]) == len(tensors[weight.input[0]])  # one an output
        steps = tensors[weight.input[0]].astype(int)
        assert np.abs(steps).max() <= LARGEST
        assert np.abs(steps).max(axis=1).min() > LARGEST // 2  # of each output
        for part in (steps.clip(min=0), steps.clip(max=0)):  # products with 0..255 fit 16 bits
            assert np.abs(part[:, :-1] + part[:, 1:]).max() * 255 < 2 ** 15
        assert not tensors[data.input[2]].any() and not tensors[weight.input[2]].any()


@pytest.mark.parametrize('kind', [np.float16, np.float32])
@pytest.mark.parametrize('weights', [[[0.0, 0.0]], [[0.7]], [[1e-7, 1e-7, -1e-7]], [[3e-5, 3e-5]],
                                     [[1.0, -1.0, 1.0]], [[0.5, 0.503, 0.01], [1.0, 0.0, 1.0]]])
def test_steps_keep_both_limits_whatever_the_weights(weights: list[list[float]],
                                                     kind: type) -> None:
    weight = np.array(weights, kind)
    scale = weight_scales(weight)
    steps = np.abs(np.round(weight.astype(float) / scale[:, None]))
    assert scale.dtype == kind and (steps <= LARGEST).all()
    same_sign = np.sign(weight[:, :-1]) == np.sign(weight[:, 1:])
    assert ((steps[:, :-1] + steps[:, 1:])[same_sign] <= LARGEST_PAIR).all()


def test_a_processor_without_vnni_passes_the_parity_check(files: dict[str, Path]) -> None:
    pytest.importorskip('openvino', reason='needs openvino, an extra')
    compares = """
import sys
from segret_ros.inference.engines import openvino as openvino_engine
from segret_ros.inference import Model
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.serving.parity import compare
from segret_ros.inference.parity_frames import decode
openvino_engine._rounds = lambda: False  # bfloat16 needs more than AVX2 too
frames = decode(Model.load(sys.argv[1]).info.parity_frames)
print(compare(open_engine(Model.load(sys.argv[1]), 'openvino'), frames, 11, 'int8').problem())
"""
    result = subprocess.run([sys.executable, '-c', compares, files['int8']], check=True,
                            env=os.environ | {'ONEDNN_MAX_CPU_ISA': 'AVX2'},
                            capture_output=True, text=True)
    assert result.stdout == '\n'


def test_int8_is_exported_byte_for_byte_again(checkpoint: Path, files: dict[str, Path],
                                              street: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / 'again.onnx', SIZE, FRAMES, precision='int8',
           quantise_on=street)
    assert (tmp_path / 'again.onnx').read_bytes() == files['int8'].read_bytes()


def test_the_file_names_what_its_ranges_were_measured_on(files: dict[str, Path]) -> None:
    assert Model.load(files['int8']).info.quantised_on == 'street, 4 frames'
    assert 'onnxruntime' in Model.load(files['int8']).info.tools
    assert Model.load(files['float16']).info.quantised_on == ''


def test_ranges_measured_on_black_frames_are_refused(checkpoint: Path, black: Path,
                                                     tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r'int8.onnx: not written, because 9\d.\d+% of the '
                                          'labels.* at least .* must be in int8. Its ranges were '
                                          'measured on black, 2 frames: give images'):
        export(checkpoint, tmp_path / 'int8.onnx', SIZE, FRAMES, precision='int8',
               quantise_on=black)
    assert not (tmp_path / 'int8.onnx').exists()


def test_the_parity_check_refuses_a_wrong_calibration_on_openvino(
        files: dict[str, Path], black: Path, tmp_path: Path) -> None:
    pytest.importorskip('openvino', reason='needs openvino, an extra')
    ranges = ranges_of(onnx.load(default_model()), sample_frames(black, 2))
    wrong = Model.load(quantised(files, ranges, tmp_path))
    for model, passes in ((Model.load(files['int8']), True), (wrong, False)):
        parity = compare(open_engine(model, 'openvino'), model.parity_frames, 11, 'int8')
        assert (parity.frames, parity.finite, not parity.problem()) == (4, True, passes)


def test_values_that_are_all_zero_give_no_nan(files: dict[str, Path], tmp_path: Path) -> None:
    engine = open_engine(Model.load(quantised(files, [0.0] * 80, tmp_path)), 'cpu')
    assert np.isfinite(engine.run(cv2.resize(FRAMES[0], SIZE[::-1]))).all()


def quantised(files: dict[str, Path], ranges: list[float], folder: Path) -> Path:
    """Write the float16 file with its linear layers in int8 of such ranges."""
    model = onnx.load(files['float16'])
    quantise(model, ranges)
    save_model(model, replace(Model.load(files['float16']).info, precision='int8'),
               folder / 'quantised.onnx')
    return folder / 'quantised.onnx'


def test_frames_are_chosen_evenly() -> None:
    every = list(sample_frames(SAMPLE_DRIVE, 1000))
    assert len(every) == 101
    assert len(FRAMES) == 4
    for chosen, frame in zip(FRAMES, every[::26]):
        assert np.array_equal(chosen, frame)


@pytest.mark.parametrize('name', ['a.JPG', 'a.jpeg', 'a.PNG'])
def test_endings_of_images_are_many(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), np.zeros((4, 6, 3), np.uint8))
    assert [image.shape for image in sample_frames(tmp_path, 4)] == [(4, 6, 3)]


@pytest.mark.parametrize(('source', 'message'), [
    ('.', 'is neither a folder of images nor a bag'),
    ('empty.jpg', 'empty.jpg: is neither a folder .*: give the folder of the images'),
    ('corrupt', 'a.jpg: not a readable image: .*PNG, or remove it')])
def test_a_source_without_usable_images_is_refused(tmp_path: Path, source: str,
                                                   message: str) -> None:
    (tmp_path / 'corrupt').mkdir()
    (tmp_path / 'corrupt' / 'a.jpg').write_bytes(b'no image')
    if source == 'empty.jpg':
        (tmp_path / source).touch()
    with pytest.raises(FramesError, match=message):
        list(sample_frames(tmp_path / source, 4))


def test_a_bag_without_cameras_is_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'talk') as writer:
        writer.write(serialize('/chatter', 1, TYPESTORE.types['std_msgs/msg/String']('hello')))
    with pytest.raises(FramesError, match='talk: the bag has no camera: it has /chatter .*; give '
                                          'a bag with a camera, or a folder of images'):
        list(sample_frames(tmp_path / 'talk', 4))
