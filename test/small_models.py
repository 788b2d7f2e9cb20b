# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The small models in `models/`, for tests of what is around a network: no SegRet, made in no time.

`python test/small_models.py` writes the files anew; it needs what `segret_export` needs.
"""

from pathlib import Path

import numpy as np
from onnx import helper, ModelProto, NodeProto, numpy_helper, TensorProto
from segret_ros.inference import Model, ModelInfo
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.inference.serving.parity import labelled
from segret_ros.labels.label_set import LabelSet
from segret_train.onnx_model import save_model

FOLDER = Path(__file__).with_name('models')
INPUT_SIZE = (64, 96)
LOGITS = (1, 3, 16, 24)
LABELS = LabelSet(('road', 'car', 'tree'), ((128, 64, 128), (0, 0, 142), (107, 142, 35)))
# Each class has a colour: the brighter a block of 4 x 4 pixels is in it, the likelier the class.
WEIGHTS = np.full((3, 3, 4, 4), np.eye(3)[..., None, None] / 16 / 32, np.float32)
FRAMES = 2


def blocks(weights: np.ndarray) -> ModelProto:
    """Return a model of one convolution, whose weights are (classes, 3, 4, 4) float32."""
    return model('blocks', [
        helper.make_node('Cast', ['image'], ['pixels'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['pixels'], ['planes'], perm=(0, 3, 1, 2)),
        helper.make_node('Conv', ['planes', 'weights'], ['logits'], strides=(4, 4))],
        weights=weights)


def failing() -> ModelProto:
    """Return a sound model that looks up entry 5 of a table of two for a black image."""
    return model('failing', [
        helper.make_node('Cast', ['image'], ['wide'], to=TensorProto.INT64),
        helper.make_node('ReduceMax', ['wide'], ['largest'], keepdims=0),
        helper.make_node('Add', ['largest', 'five'], ['index']),
        helper.make_node('Expand', ['row', 'two_rows'], ['table']),
        helper.make_node('Gather', ['table', 'index'], ['logits'])],
        five=np.array(5), row=np.zeros((1, 1, 1, 1, 1), np.float32),
        two_rows=np.array((2, *LOGITS)))


def model(name: str, nodes: list[NodeProto], **constants: np.ndarray) -> ModelProto:
    """Return a model with the input and the output of a model file."""
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info('image', TensorProto.UINT8, (1, *INPUT_SIZE, 3))],
        [helper.make_tensor_value_info('logits', TensorProto.FLOAT, LOGITS)],
        [numpy_helper.from_array(array, key) for key, array in constants.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17)])


def info(parity_frames: str = '') -> ModelInfo:
    """Return what the models tell of themselves."""
    return ModelInfo(labels=LABELS, input_size=INPUT_SIZE, variant='none', training_data='none',
                     miou=None, miou_data='', source='the tests', parity_frames=parity_frames)


def frames_of(path: Path) -> str:
    """Return images of coloured patches with what a model sees in them."""
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (FRAMES, 4, 6, 3), np.uint8)
    jpegs = [compressed(image.repeat(16, axis=0).repeat(16, axis=1)) for image in patches]
    frames = labelled([decompressed(jpeg) for jpeg in jpegs], Model.load(path))
    return encode([(jpeg, frame.label) for jpeg, frame in zip(jpegs, frames)])


def write(folder: Path) -> None:
    """Write the files."""
    save_model(failing(), info(), folder / 'failing.onnx')
    save_model(blocks(WEIGHTS), info(), folder / 'blocks.onnx')
    told = info(frames_of(folder / 'blocks.onnx'))
    save_model(blocks(WEIGHTS), told, folder / 'blocks.onnx')
    save_model(blocks(WEIGHTS[::-1]), told, folder / 'wrong.onnx')


if __name__ == '__main__':
    write(FOLDER)
