# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Static quantisation after training: a graph whose linear layers multiply in int8.

Weights have a scale for each output, inputs one scale for the whole tensor; both are symmetric,
as TensorRT takes them. Biases and results stay in floats, and so does everything else: to quantise
convolutions too changed three times as many labels and gained little (docs/precision.md).

Processors with AVX2 and without VNNI multiply unsigned inputs by signed weights and add each two
neighbouring products in 16 bits, where larger sums are cut. Weights are scaled so that no such sum
is larger, whatever the input: one file labels alike on all.
"""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, NodeProto, numpy_helper, TensorProto
from segret_ros.inference.engines.onnx_runtime import onnxruntime

LARGEST = 127  # of int8, symmetric
LARGEST_PAIR = (2 ** 15 - 1) // (2 ** 8 - 1)  # of two weights' sum: times an input it fits 16 bits
PERCENTILE = 99.99  # of a frame's values that an input's range holds; larger ones are cut
SMALLEST_SCALE = float(np.finfo(np.float16).smallest_subnormal)  # for values that are all zero


def linear_layers(graph: onnx.GraphProto) -> list[NodeProto]:
    """Give the nodes of the linear layers, whose weights are (outputs, inputs), in order."""
    return [node for node in graph.node if node.op_type == 'Gemm']


def ranges_of(model: onnx.ModelProto, frames: Iterable[np.ndarray]) -> list[float]:
    """
    Give how large the inputs of each linear layer become: the most of all frames' percentiles.

    :param model: in float32.
    :param frames: (height, width, 3) uint8 RGB of the model's input size.
    """
    inputs = [node.input[0] for node in linear_layers(model.graph)]
    names = list(dict.fromkeys(inputs))
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    tapped.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                               for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # so that the order of sums is not the machine's
    session = onnxruntime.InferenceSession(tapped.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    largest = dict.fromkeys(names, 0.0)
    for frame in frames:
        for name, values in zip(names, session.run(names, {'image': frame[None]})):
            largest[name] = max(largest[name], percentile(np.abs(values)))
    return [largest[name] for name in inputs]


def percentile(values: np.ndarray) -> float:
    """Give the value that `PERCENTILE` of some values do not exceed."""
    place = int(PERCENTILE / 100 * (values.size - 1))
    return float(np.partition(values, place, axis=None)[place])


def quantise(model: onnx.ModelProto, ranges: list[float]) -> None:
    """
    Let the linear layers of a graph multiply in int8, in place.

    Each has its own QuantizeLinear and DequantizeLinear at its input, for TensorRT does not let
    layers share them. The weight `NAME` is stored as `NAME.int8` with `NAME.scale`.

    :param model: in float16 or float32; the scales are of the same type.
    :param ranges: of `ranges_of`.
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
            nodes += _rounded(graph, node.input[0], name, scale)
            node.input[0] = name
        nodes.append(node)
    graph.ClearField('node')
    graph.node.extend(nodes)
    for tensor in weights.values():
        graph.initializer.remove(tensor)


def _stored_weight(graph: onnx.GraphProto, tensor: TensorProto) -> NodeProto:
    """Store a weight as int8, with a scale for each output; give the node that reads it."""
    array = numpy_helper.to_array(tensor)
    scale = weight_scales(array)
    steps = np.round(array.astype(np.float64) / scale[:, None])
    _add(graph, f'{tensor.name}.int8', steps.astype(np.int8))
    return _dequantise(graph, f'{tensor.name}.int8', tensor.name, scale)


def weight_scales(weight: np.ndarray) -> np.ndarray:
    """
    Return the smallest scale of each output whose steps keep both limits.

    :param weight: (outputs, inputs) float16 or float32.
    :return: (outputs,), of the weight's type.
    """
    values = weight.astype(np.float64)
    pairs = [part[:, :-1] + part[:, 1:] for part in (values.clip(min=0), (-values).clip(min=0))]
    largest_pair = np.max(pairs, axis=(0, 2), initial=0)
    scale = np.maximum(np.abs(values).max(axis=1) / LARGEST,
                       largest_pair / (LARGEST_PAIR - 0.5))  # a half, for both are rounded
    scale = np.maximum(scale, SMALLEST_SCALE)
    stored = scale.astype(weight.dtype)
    return np.where(stored < scale, np.nextafter(stored, weight.dtype.type(np.inf)), stored)


def _rounded(graph: onnx.GraphProto, data: str, name: str, scale: np.ndarray) -> list[NodeProto]:
    """Give the nodes that make of some data what int8 can hold of it, under a new name."""
    back = _dequantise(graph, f'{name}.int8', name, scale)
    return [helper.make_node('QuantizeLinear', [data, *back.input[1:]], [f'{name}.int8'],
                             name=f'{name}.quantise'), back]


def _dequantise(graph: onnx.GraphProto, data: str, name: str, scale: np.ndarray) -> NodeProto:
    """Give the node that makes floats of int8 data; of the first axis where scales are many."""
    _add(graph, f'{name}.scale', scale)
    _add(graph, f'{name}.zero', np.zeros(scale.shape, np.int8))
    return helper.make_node('DequantizeLinear', [data, f'{name}.scale', f'{name}.zero'], [name],
                            name=f'{name}.dequantise', **({'axis': 0} if scale.ndim else {}))


def _add(graph: onnx.GraphProto, name: str, array: np.ndarray) -> None:
    graph.initializer.append(numpy_helper.from_array(array, name))
