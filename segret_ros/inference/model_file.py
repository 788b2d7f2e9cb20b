# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a model file holds, before any engine runs it."""

import hashlib
import os
from pathlib import Path

from segret_ros.files.share import default_model
from segret_ros.inference import checksum
from segret_ros.inference.engines.cpu import CPU, open_session, session_options
from segret_ros.inference.engines.onnx_runtime import GraphOptimizationLevel, InferenceSession
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError, ModelInfo


def read_model_info(path: str | Path) -> ModelInfo:
    """
    Give what a model file tells of itself, once its graph is known to be what it tells.

    :raises ModelError: for a file that is missing, damaged or does not explain itself.
    """
    sound = checksum.is_sound(_content(path))
    if sound is False:
        raise ModelError(f'{path}: it was damaged since it was written, for its checksum is '
                         f'another; copy it again, or {HOW_TO_MAKE}')
    options = session_options()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    session = open_session(path, options, [(CPU, {})])
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ModelError(f'{path}: its metadata is damaged ({error}); {HOW_TO_MAKE}') from error
    if sound is None and checksum.KEY in metadata:
        raise ModelError(f'{path}: its checksum is damaged; copy it again, or {HOW_TO_MAKE}')
    info = ModelInfo.from_metadata(metadata, str(path))
    _check_signature(session, info, path)
    return info


def model_hash(path: str | Path) -> str:
    """
    Give the first 12 hexadecimal digits of a model file's SHA-256.

    :raises ModelError: for a file that is missing or can't be read.
    """
    return hashlib.sha256(_content(path)).hexdigest()[:12]


def _content(path: str | Path) -> bytes:
    shipped = f'take the shipped {default_model()} (segret_ros.files.share.default_model())'
    if not isinstance(path, (str, os.PathLike)):
        raise ModelError(f'the model is {path!r}: give the path of a model file, or {shipped}')
    if Path(path).is_dir():
        raise ModelError(f'{path}: a folder, no model file; {HOW_TO_MAKE}, or {shipped}')
    if not Path(path).is_file():
        raise ModelError(f'{path}: no such model file; {HOW_TO_MAKE}, or {shipped}')
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from error


def _check_signature(session: InferenceSession, info: ModelInfo,
                     path: str | Path) -> None:
    """Refuse a graph whose input or output is not what its metadata promises."""
    stride_4 = [-(-side // 4) for side in info.input_size]
    expected = {'image': ['tensor(uint8)', [1, *info.input_size, 3]],
                'logits': ['tensor(float)', [1, len(info.labels), *stride_4]]}
    found = {value.name: [value.type, value.shape] for value in
             (*session.get_inputs(), *session.get_outputs())}
    if found != expected:
        raise ModelError(f'{path}: its graph has {found}, not {expected}; {HOW_TO_MAKE}')
