# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A model file, read once: everything that runs it is given the same `Model`."""

from dataclasses import dataclass, field
from functools import cached_property
import hashlib
import os
from pathlib import Path

from segret_ros.files.share import default_model
from segret_ros.inference import checksum
from segret_ros.inference.engines.onnx_runtime import (
    CPU,
    GraphOptimizationLevel,
    InferenceSession,
    open_session,
    session_options,
)
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError, ModelInfo
from segret_ros.inference.parity_frames import decode, ParityFrame


@dataclass(frozen=True)
class Model:
    """
    A model file in memory; a later change of the file does not reach it.

    :param path: where it was read.
    :param content: of the file.
    :param sha256: of the content, in hexadecimal digits.
    :param info: the file's metadata, which its graph is known to agree with.
    """

    path: Path
    content: bytes = field(repr=False, compare=False)  # the hash is
    sha256: str
    info: ModelInfo

    @classmethod
    def load(cls, path: str | Path) -> 'Model':
        """
        Read a model file and check it.

        :raises ModelError: for a file that is missing, corrupt or does not explain itself.
        """
        content = _read(path)
        return cls(Path(path), content, hashlib.sha256(content).hexdigest(),
                   _checked_info(content, path))

    @property
    def name(self) -> str:
        """Name the model: the file's name without its ending."""
        return self.path.stem

    @property
    def short_hash(self) -> str:
        """Return the first 12 digits of the SHA-256, by which reports and topics name it."""
        return self.sha256[:12]

    @cached_property
    def parity_frames(self) -> list[ParityFrame]:
        """
        Decode the images with the labels of the float32 network; older files have none.

        :raises ModelError: for corrupt frames.
        """
        try:
            frames = decode(self.info.parity_frames)
        except ValueError as error:
            raise ModelError(f'{self.path}: {error}') from error
        for frame in frames:
            if frame.label.max() >= len(self.info.labels):
                raise ModelError(f'{self.path}: its parity frames are corrupt (label '
                                 f'{frame.label.max()} of {len(self.info.labels)} classes)')
        return frames


def _read(path: str | Path) -> bytes:
    shipped = f'take the shipped {default_model()} (segret_ros.files.share.default_model())'
    if not isinstance(path, (str, os.PathLike)):
        raise ModelError(f'the model is {path!r}: give the path of a model file, or {shipped}')
    if Path(path).is_dir():
        raise ModelError(f'{path}: a folder, not a model file; {HOW_TO_MAKE}, or {shipped}')
    if not Path(path).is_file():
        raise ModelError(f'{path}: no such model file; {HOW_TO_MAKE}, or {shipped}')
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from error


def _checked_info(content: bytes, path: str | Path) -> ModelInfo:
    sound = checksum.is_sound(content)
    if sound is False:
        raise ModelError(f'{path}: the file is corrupt (checksum mismatch); copy it again, or '
                         f'{HOW_TO_MAKE}')
    options = session_options()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    session = open_session(path, options, [(CPU, {})], content)
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ModelError(f'{path}: its metadata is corrupt ({error}); {HOW_TO_MAKE}') from error
    if sound is None and checksum.KEY in metadata:
        raise ModelError(f'{path}: its checksum is corrupt; copy it again, or {HOW_TO_MAKE}')
    info = ModelInfo.from_metadata(metadata, str(path))
    _check_signature(session, info, path)
    return info


def _check_signature(session: InferenceSession, info: ModelInfo, path: str | Path) -> None:
    """Refuse a graph whose input or output is not what its metadata promises."""
    stride_4 = [-(-side // 4) for side in info.input_size]
    expected = {'image': ['tensor(uint8)', [1, *info.input_size, 3]],
                'logits': ['tensor(float)', [1, len(info.labels), *stride_4]]}
    found = {value.name: [value.type, value.shape] for value in
             (*session.get_inputs(), *session.get_outputs())}
    if found != expected:
        raise ModelError(f'{path}: its graph has {found}, not {expected}; {HOW_TO_MAKE}')
