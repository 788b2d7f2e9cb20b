# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From a network to one self-contained ONNX file."""

from copy import deepcopy
from importlib import metadata
import logging
from pathlib import Path
from typing import Any
import warnings

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
from onnxscript import optimizer
from segret_ros.files.atomic import atomic_path
from segret_ros.inference import checksum
from segret_ros.inference.model_info import ModelInfo
from segret_ros.network import SegRet
from segret_ros.network.deployed import DeployedSegRet, to_half
import torch

OPSET = 20  # the first with Gelu; IR version 10, so ONNX Runtime 1.19 and later
LARGEST_FOLDED = 256  # bytes or elements of a constant expression that is replaced by its value
SMALLEST_STORED_AS_HALF = 1024  # elements; norms and biases stay in float32
TOOLS = ('segret_ros', 'torch', 'onnxscript', 'onnx-ir', 'onnx')  # determine a graph's bytes


def to_onnx(network: SegRet, input_size: tuple[int, int]) -> onnx.ModelProto:
    """
    Convert a network to ONNX: input `image`, output `logits` (see `DeployedSegRet`).

    :param input_size: (height, width).
    """
    with torch.no_grad():
        return _traced(DeployedSegRet(network.eval()), input_size)


def to_half_onnx(network: SegRet, input_size: tuple[int, int]) -> onnx.ModelProto:
    """Convert a network to ONNX that computes in float16 (see `to_half`); as `to_onnx`."""
    with torch.no_grad():
        deployed = DeployedSegRet(deepcopy(network).eval())
    to_half(deployed)
    return _traced(deployed, input_size)


def _traced(deployed: DeployedSegRet, input_size: tuple[int, int]) -> onnx.ModelProto:
    image = torch.zeros(1, *input_size, 3, dtype=torch.uint8)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)  # warns if torchvision is missing
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # PyTorch warns about its own calls
        program: Any = torch.onnx.export(deployed.eval(), (image,), dynamo=True,
                                         input_names=['image'], output_names=['logits'],
                                         opset_version=OPSET, optimize=False, verbose=False)
    # With its default limits, the optimizer would fold the decay into a cells-by-cells constant.
    optimizer.optimize_ir(program.model, input_size_limit=LARGEST_FOLDED,
                          output_size_limit=LARGEST_FOLDED)
    model = program.model_proto
    model.ClearField('functions')
    clear_notes(model.graph)
    return model


def clear_notes(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes, such as the paths of source files."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer):
        part.ClearField('doc_string')
        part.ClearField('metadata_props')


def tool_versions() -> dict[str, str]:
    """
    Return the versions of the tools that make a model file: packages by PyPI name, and OpenCV.

    :raises ValueError: for a package without metadata, as in a source tree.
    """
    try:
        versions = {name: metadata.version(name) for name in TOOLS}
    except metadata.PackageNotFoundError as error:
        raise ValueError(f'the version of {error.name} is not known, and a model file records it: '
                         'install the package with pip, as make develop does') from error
    return {**versions, 'opencv': cv2.__version__}  # several packages provide it


def store_as_half(model: onnx.ModelProto) -> None:
    """Store the large float32 weights as float16, each followed by a cast to float32."""
    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < SMALLEST_STORED_AS_HALF:
            continue
        name, half_name = tensor.name, f'{tensor.name}.half'
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), half_name))
        casts.append(helper.make_node('Cast', [half_name], [name], name=f'{name}.cast',
                                      to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    model.graph.ClearField('node')
    model.graph.node.extend(nodes)


def save_model(model: onnx.ModelProto, info: ModelInfo, path: Path) -> None:
    """Write a model with its metadata and its checksum, atomically."""
    model.ClearField('metadata_props')
    # The checksum comes first: a truncated file either has none or does not match it.
    for key, value in {checksum.KEY: checksum.UNKNOWN, **info.to_metadata()}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    with atomic_path(path) as partial:
        partial.write_bytes(checksum.sealed(model.SerializeToString(deterministic=True)))
