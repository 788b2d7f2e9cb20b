# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network of a model in PyTorch; its weights are read from the file's graph."""

import re

import numpy as np
import onnx
from onnx import numpy_helper
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError
from segret_ros.network import SegRet
from segret_ros.network.deployed import DeployedSegRet, to_half
import torch
from torch import nn

HALF = '.half'  # ends the name of a weight that is stored as float16 and computed with in float32
NAME = re.compile(r'(stem|downsamples|stages|decoder)\..+\.(weight|bias)')
MOST_NAMES = 3  # of wrong weights, told in a message


def network_of(model: Model) -> DeployedSegRet:
    """
    Make the network of a model, in the precision that its file has.

    :raises ModelError: for an int8 file, or one whose weights are not those of its variant.
    """
    info = model.info
    if info.precision == 'int8':
        raise ModelError(f'{model.path}: PyTorch does not run int8 model files: use tensorrt or '
                         'cpu, or the float16 or float32 file of the same checkpoint')
    weights = weights_of(onnx.load_model_from_string(model.content).graph)
    classify = weights.get('decoder.classify.weight')
    try:
        if classify is None:
            raise ValueError('decoder.classify.weight is missing')
        with torch.no_grad():
            network = DeployedSegRet(SegRet(info.variant, len(info.labels), classify.shape[1]))
        _check(weights, network)
    except ValueError as error:
        raise ModelError(f'{model.path}: its weights are not those of {info.variant} in this '
                         f'version of segret_ros: {error}; {HOW_TO_MAKE}') from error
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    network.eval().requires_grad_(False)
    if info.precision == 'float16':
        to_half(network)
    return network


def weights_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """
    Return the weights of a model file by their names in PyTorch, all in float32.

    The exporter stores equal tensors once, and drops a bias of zeros: so a bias is what its
    weight's operator adds.
    """
    names = {tensor.name: tensor.name.removesuffix(HALF) for tensor in graph.initializer}
    arrays = {names[tensor.name]: numpy_helper.to_array(tensor).astype(np.float32)
              for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Cast' and node.input[0] in names:
            names[node.output[0]] = names[node.input[0]]
    weights = {name: array for name, array in arrays.items() if NAME.fullmatch(name)}
    for node in graph.node:
        if node.op_type not in ('Conv', 'Gemm'):
            continue
        weight, *added = map(names.get, node.input[1:])
        if weight in weights:
            bias = f"{weight.removesuffix('weight')}bias"
            weights[bias] = arrays[added[0]] if added else np.zeros(len(weights[weight]),
                                                                    np.float32)
    return weights


def _check(weights: dict[str, np.ndarray], network: nn.Module) -> None:
    """
    Refuse weights that are not, name by name and shape by shape, those of a network.

    :raises ValueError: with the first of them.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    wrong = [f'{name} is missing' for name in expected.keys() - weights.keys()]
    wrong += [f'{name} has no place' for name in weights.keys() - expected.keys()]
    wrong += [f'{name} has the shape {weights[name].shape}, not {expected[name]}'
              for name in expected.keys() & weights.keys()
              if weights[name].shape != expected[name]]
    if wrong:
        more = f' and {len(wrong) - MOST_NAMES} more' if len(wrong) > MOST_NAMES else ''
        raise ValueError('; '.join(sorted(wrong)[:MOST_NAMES]) + more)
