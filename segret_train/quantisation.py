# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Post-training static quantisation: a graph whose linear layers multiply in int8.

Weights have one scale for each output, inputs one scale for the tensor; both are symmetric, as
TensorRT requires. Biases, results and everything else stay in floating point: quantising
convolutions as well changed three times as many labels and gained little (docs/precision.md).

Processors with AVX2 but without VNNI multiply unsigned inputs by signed weights and add pairs of
neighbouring products in 16 bits, saturating larger sums. Weights are scaled so that no such sum
saturates, whatever the input: a file gives the same labels on all processors.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import helper, NodeProto, numpy_helper, TensorProto
from segret_ros.inference.engines.onnx_runtime import onnxruntime

LARGEST = 127  # of int8, symmetric
LARGEST_PAIR = (2 ** 15 - 1) // (2 ** 8 - 1)  # sum of two weights whose products fit 16 bits
PERCENTILE = 99.99  # of a frame's values that an input's range covers; larger ones saturate
SMALLEST_SCALE = float(np.finfo(np.float16).smallest_subnormal)  # for values that are all zero


def linear_layers(graph: onnx.GraphProto) -> list[NodeProto]:
    """Return the nodes of the linear layers, whose weights are (outputs, inputs), in order."""
    return [node for node in graph.node if node.op_type == 'Gemm']


def ranges_of(model: onnx.ModelProto, frames: Iterable[np.ndarray]) -> list[float]:
    """
    Measure the input range of each linear layer: the largest percentile of all frames.

    :param model: in float32.
    :param frames: (height, width, 3) uint8 RGB of the model's input size.
    """
    inputs = [node.input[0] for node in linear_layers(model.graph)]
    names = list(dict.fromkeys(inputs))
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    observed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                                 for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # so that the order of sums does not depend on the machine
    session = onnxruntime.InferenceSession(observed.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    largest = dict.fromkeys(names, 0.0)
    for frame in frames:
        for name, values in zip(names, session.run(names, {'image': frame[None]})):
            largest[name] = max(largest[name], percentile(np.abs(values)))
    return [largest[name] for name in inputs]


def percentile(values: np.ndarray) -> float:
    """Return the value that `PERCENTILE` percent of the values do not exceed."""
    place = int(PERCENTILE / 100 * (values.size - 1))
    return float(np.partition(values, place, axis=None)[place])


def quantise(model: onnx.ModelProto, ranges: list[float]) -> None:
    """
    Make the linear layers of a graph multiply in int8, in place.

    Each input has its own QuantizeLinear and DequantizeLinear, since TensorRT does not let layers
    share them. The weight `NAME` is stored as `NAME.int8` with `NAME.scale`.

    :param model: in float16 or float32; scales have the same type.
    :param ranges: from `ranges_of`.
    """
    graph, layers = model.graph, linear_layers(model.graph)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    weights = {layer.input[1]: tensors[layer.input[1]] for layer in layers}
    nodes = [_stored_weight(graph, tensor) for tensor in weights.values()]
    kind = helper.tensor_dtype_to_np_dtype(tensors[layers[0].input[1]].data_type)
    range_of = dict(zip([layer.name for layer in layers], ranges, strict=True))
    for node in graph.node:
        if node.name in range_of:
            name = f'{node.name}.input'
            scale = np.array(max(range_of[node.name] / LARGEST, SMALLEST_SCALE), kind)
            nodes += _rounding(graph, node.input[0], name, scale)
            node.input[0] = name
        nodes.append(node)
    graph.ClearField('node')
    graph.node.extend(nodes)
    for tensor in weights.values():
        graph.initializer.remove(tensor)


def _stored_weight(graph: onnx.GraphProto, tensor: TensorProto) -> NodeProto:
    """Store a weight as int8 with a scale for each output, and return the node that reads it."""
    array = numpy_helper.to_array(tensor)
    scale = weight_scales(array)
    steps = np.round(array.astype(np.float64) / scale[:, None])
    _add(graph, f'{tensor.name}.int8', steps.astype(np.int8))
    return _dequantise(graph, f'{tensor.name}.int8', tensor.name, scale)


def weight_scales(weight: np.ndarray) -> np.ndarray:
    """
    Return the smallest scale of each output that keeps its steps within both limits.

    :param weight: (outputs, inputs) float16 or float32.
    :return: (outputs,), of the weight's type.
    """
    values = weight.astype(np.float64)
    pairs = [part[:, :-1] + part[:, 1:] for part in (values.clip(min=0), (-values).clip(min=0))]
    largest_pair = np.max(pairs, axis=(0, 2), initial=0)
    scale = np.maximum(np.abs(values).max(axis=1) / LARGEST,
                       largest_pair / (LARGEST_PAIR - 0.5))  # half, since both are rounded
    scale = np.maximum(scale, SMALLEST_SCALE)
    stored = scale.astype(weight.dtype)
    return np.where(stored < scale, np.nextafter(stored, weight.dtype.type(np.inf)), stored)


def _rounding(graph: onnx.GraphProto, data: str, name: str, scale: np.ndarray) -> list[NodeProto]:
    """Return the nodes that round data to int8 and back, under a new name."""
    back = _dequantise(graph, f'{name}.int8', name, scale)
    return [helper.make_node('QuantizeLinear', [data, *back.input[1:]], [f'{name}.int8'],
                             name=f'{name}.quantise'), back]


def _dequantise(graph: onnx.GraphProto, data: str, name: str, scale: np.ndarray) -> NodeProto:
    """Return the node that dequantises int8 data; with several scales, along the first axis."""
    _add(graph, f'{name}.scale', scale)
    _add(graph, f'{name}.zero', np.zeros(scale.shape, np.int8))
    axis: dict[str, Any] = {'axis': 0} if scale.ndim else {}
    return helper.make_node('DequantizeLinear', [data, f'{name}.scale', f'{name}.zero'], [name],
                            name=f'{name}.dequantise', **axis)


def _add(graph: onnx.GraphProto, name: str, array: np.ndarray) -> None:
    graph.initializer.append(numpy_helper.from_array(array, name))
