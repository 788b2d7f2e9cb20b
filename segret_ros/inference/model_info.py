# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The metadata of a model file."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
import json
import re
from typing import Any

from segret_ros.labels.label_set import LabelSet

# Counts up when a reader of this one would misread the file; docs/model_file.md has the rule.
FORMAT = 'segret_ros model 1'
TEMPERATURES = (0.01, 100.0)  # the lowest and highest that any network could need
REQUIRED = ('input_size', 'variant', 'training_data', 'miou', 'miou_data', 'source')
PRECISIONS = ('float32', 'float16', 'int8')
COMMAND = 'segret_export CHECKPOINT --output MODEL.onnx'
HOW_TO_MAKE = f'make a right one with: {COMMAND}'


class ModelError(ValueError):
    """A model file that can't be used; the message names the file, the rule and the way out."""


@dataclass(frozen=True)
class ModelInfo:
    """
    The metadata of a model file.

    :param labels: class names and colours in id order.
    :param input_size: (height, width) of the network's input.
    :param variant: of SegRet.
    :param training_data: what the network has seen.
    :param miou: measured mean IoU 0..1, or None where nobody measured.
    :param miou_data: what `miou` was measured on.
    :param source: where the weights came from.
    :param temperature: what the logits are divided by before the softmax that gives the
        confidence, within `TEMPERATURES`; 1 where nobody calibrated.
    :param calibration_error: expected calibration error 0..1 at temperature 1 and at
        `temperature`, or None where nobody calibrated.
    :param calibration_data: what `temperature` was fitted and `calibration_error` measured on.
    :param checkpoint_sha256: of the checkpoint, in hex; '' in files from before it was written.
    :param opset: version of the ONNX operators; None in files from before it was written.
    :param tools: versions of the packages that made the file, by name; empty in files from before
        they were written.
    :param precision: what the graph computes in, one of `PRECISIONS`.
    :param quantised_on: what the ranges of an int8 graph were measured on.
    :param parity_frames: images with the labels of the float32 network, as
        `parity_frames.encode` has them; '' in files from before they were written.
    :raises ValueError: for a temperature or an error out of range, or an unknown precision.
    """

    labels: LabelSet
    input_size: tuple[int, int]
    variant: str
    training_data: str
    miou: float | None
    miou_data: str
    source: str
    temperature: float = 1.0
    calibration_error: tuple[float, float] | None = None
    calibration_data: str = ''
    checkpoint_sha256: str = ''
    opset: int | None = None
    tools: dict[str, str] = field(default_factory=dict, hash=False)
    precision: str = 'float32'
    quantised_on: str = ''
    parity_frames: str = field(default='', repr=False)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f'the precision is {self.precision!r}: it must be one of '
                             f'{", ".join(PRECISIONS)}')
        lowest, highest = TEMPERATURES
        if not lowest <= self.temperature <= highest:  # true for NaN too
            raise ValueError(f'the temperature is {self.temperature}: it must be '
                             f'{lowest:g}..{highest:g}')
        if self.calibration_error is not None and not (
                len(self.calibration_error) == 2
                and all(0 <= error <= 1 for error in self.calibration_error)):
            raise ValueError(f'the calibration error is {self.calibration_error}: it must be two '
                             'numbers of 0..1, before and after')

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX metadata properties: texts as they are, all else as JSON."""
        values = {'format': FORMAT, 'class_names': self.labels.names,
                  'palette': self.labels.colors,
                  **{item.name: getattr(self, item.name) for item in fields(self)[1:]}}
        return {f'segret.{name}': value if isinstance(value, str) else json.dumps(value)
                for name, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: str) -> 'ModelInfo':
        """
        Return what the properties of a model file say.

        Those that older files have not are as `ModelInfo` has them; unknown ones are ignored.

        :param path: of the file, for messages.
        :raises ModelError: for a file without them or of another format.
        """
        _check_format(metadata.get('segret.format'), path)
        try:
            labels = LabelSet(
                tuple(json.loads(metadata['segret.class_names'])),
                tuple(tuple(color) for color in json.loads(metadata['segret.palette'])))
            return cls(labels, **{
                item.name: READ.get(item.name, str)(metadata[f'segret.{item.name}'])
                for item in fields(cls)[1:]
                if item.name in REQUIRED or f'segret.{item.name}' in metadata})
        except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ModelError(f'{path}: its metadata is corrupt ({error}); {HOW_TO_MAKE}'
                             ) from error


def _check_format(found: str | None, path: str) -> None:
    """Refuse a file of another format; one of a later version of the package as such."""
    if found == FORMAT:
        return
    later = re.fullmatch(r'segret_ros model (\d+)', found or '')
    if later and int(later[1]) > int(FORMAT.split()[-1]):
        raise ModelError(f'{path}: its segret.format is {found!r}, of a later version of '
                         f'segret_ros, and this one reads {FORMAT!r}: update segret_ros, or make '
                         f'the file again with this one: {COMMAND}')
    raise ModelError(f'{path}: its segret.format is {found!r}, not {FORMAT!r}; {HOW_TO_MAKE}')


def _input_size(text: str) -> tuple[int, int]:
    height, width = json.loads(text)
    return int(height), int(width)


def _calibration_error(text: str) -> tuple[float, ...] | None:
    error = json.loads(text)
    return None if error is None else tuple(error)


def _opset(text: str) -> int | None:
    opset = json.loads(text)
    return None if opset is None else int(opset)


def _tools(text: str) -> dict[str, str]:
    return {name: str(version) for name, version in dict(json.loads(text)).items()}


# How to read the properties that are no texts.
READ: dict[str, Callable[[str], Any]] = {
    'input_size': _input_size, 'miou': json.loads, 'temperature': float,
    'calibration_error': _calibration_error, 'opset': _opset, 'tools': _tools}
