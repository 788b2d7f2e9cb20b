# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Write the ONNX graphs that turn logits into labels on a GPU, which the package ships.

They use operators of opset 11 only, for which every ONNX Runtime has CUDA kernels: ArgMax of
opset 13 got one with 1.21 only. A single operator on the CPU would move a tensor of classes by
camera pixels over the bus, twice.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
from segret_ros.inference.engines.bound import CONFIDENCE_HEAD, LABEL_HEAD

OPSET, IR_VERSION = 11, 6  # of the same release of ONNX
CELLS = [1, 'classes', 'cell_rows', 'cell_columns']
SCORES = [1, 'classes', 'height', 'width']
PIXELS = ['height', 'width']


def label_head(confidence: bool) -> onnx.ModelProto:
    """
    Build a graph from logits at stride 4 to the class of each camera pixel.

    Inputs are `logits`, (1, classes, h, w) float32; `sizes`, (4,) int64: 1, classes and the
    camera's height and width; `temperature`, float32, which divides the logits. Outputs are
    `label`, (height, width) uint8, and `confidence`, the same: the label's probability times 255,
    rounded.

    :param confidence: whether to have that output; without it there is no `temperature` either.
    """
    nodes = _scores('divided' if confidence else 'logits')
    inputs = [_value('logits', TensorProto.FLOAT, CELLS), _value('sizes', TensorProto.INT64, [4])]
    outputs = [_value('label', TensorProto.UINT8, PIXELS)]
    constants = [numpy_helper.from_array(np.empty(0, np.float32), 'none')]
    if confidence:
        nodes = [helper.make_node('Div', ['logits', 'temperature'], ['divided']), *nodes,
                 *_probability()]
        inputs.append(_value('temperature', TensorProto.FLOAT, []))
        outputs.append(_value('confidence', TensorProto.UINT8, PIXELS))
        constants.append(numpy_helper.from_array(np.array(255, np.float32), 'certain'))
    # Declared to have one shape, so that their memory is reused.
    declared = [_value(name, TensorProto.FLOAT, SCORES)
                for name in ('scores', *(('below', 'odds') if confidence else ()))]
    graph = helper.make_graph(nodes, 'label_head', inputs, outputs, constants,
                              value_info=declared)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)],
                              ir_version=IR_VERSION, producer_name='segret_ros')
    onnx.checker.check_model(model)
    return model


def _scores(logits: str) -> list[onnx.NodeProto]:
    """Return the nodes to `scores` at camera size, and to the `index` and `label` of the best."""
    return [
        helper.make_node('Resize', [logits, 'none', 'none', 'sizes'], ['scores'], mode='linear',
                         coordinate_transformation_mode='half_pixel'),
        helper.make_node('ArgMax', ['scores'], ['index'], axis=1, keepdims=1),
        helper.make_node('Cast', ['index'], ['label_plane'], to=TensorProto.UINT8),
        helper.make_node('Squeeze', ['label_plane'], ['label'], axes=[0, 1])]


def _probability() -> list[onnx.NodeProto]:
    """Return the nodes to the softmax of the largest score."""
    return [
        # Gathered by index instead of a maximum: ArgMax is then done with `scores`, whose memory
        # is free after the subtraction.
        helper.make_node('GatherElements', ['scores', 'index'], ['best'], axis=1),
        helper.make_node('Sub', ['scores', 'best'], ['below']),
        helper.make_node('Exp', ['below'], ['odds']),
        helper.make_node('ReduceSum', ['odds'], ['total'], axes=[0, 1], keepdims=0),
        helper.make_node('Div', ['certain', 'total'], ['exact']),
        helper.make_node('Round', ['exact'], ['rounded']),
        helper.make_node('Cast', ['rounded'], ['confidence'], to=TensorProto.UINT8)]


def _value(name: str, dtype: int, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def files() -> dict[Path, bytes]:
    """Return the content of each file that the package ships."""
    return {path: label_head(confidence).SerializeToString(deterministic=True)
            for path, confidence in ((LABEL_HEAD, False), (CONFIDENCE_HEAD, True))}


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    for path, content in files().items():
        path.write_bytes(content)
