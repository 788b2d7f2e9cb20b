# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The node's parameters, each declared once: its type, default, meaning and range."""

from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
import re
import textwrap
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter
from segret_ros.inference.validity import Limits

READ_WHEN = {True: 'May change at any time.', False: 'Read on configure.'}
MOST_TURNS = 100
WANTED = {
    bool: 'true or false',
    float: 'a number',
    int: 'a whole number',
    str: 'a text; write it in quotes, "{name}:=\'{value}\'" in a shell',
    list[str]: 'a list of texts, such as [front, rear]; put quotes around numbers, yes and no',
}
CAMERA_NAME = re.compile(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def _parameter(default: Any, description: str, choices: tuple[str, ...] = (),
               bounds: tuple[float, float] | None = None, live: bool = False) -> Any:
    metadata = {'description': f'{description} {READ_WHEN[live]}', 'choices': choices,
                'bounds': bounds, 'live': live}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Parameters:
    """
    The values that a node is configured with; the metadata of each field documents it.

    :raises ValueError: for a value that is not allowed; names the parameter and the rule.
    """

    model: str = _parameter(
        '', 'Path of the model file (.onnx of segret_export); empty: the one shipped with the '
        'package.')
    device: str = _parameter(
        'auto', 'Where the network runs: auto, cpu, openvino, cuda, cuda:N, tensorrt, tensorrt:N, '
        'torch, torch:N, torch:float32, torch:N:float32 or torch:cpu. A device given by name must '
        'be present; auto takes the fastest that works: TensorRT if its engine is built, PyTorch '
        'on a GPU, CUDA, OpenVINO, or else a CPU.')
    allow_unproven_engine: bool = _parameter(
        False, 'Also use an engine that fails the parity check, that is, whose labels of the '
        "frames in the model file differ from the float32 network's; refused otherwise.")
    cameras: list[str] = _parameter(
        [''], 'Names of the cameras, which prefix the topics of each (front: front/image, '
        'front/segmentation/label); one empty name: a single camera without prefix.')
    image_transport: str = _parameter(
        'raw', 'What to subscribe to: raw (image) or compressed (the topic of image with '
        '/compressed appended); a topic whose name ends in /compressed is always compressed.',
        choices=('raw', 'compressed'))
    image_reliability: str = _parameter(
        'best_effort', 'Reliability of the image subscription; best_effort also receives from '
        'reliable cameras.', choices=('best_effort', 'reliable'))
    priorities: list[str] = _parameter(
        [''], 'Cameras that get more than one turn a round, as NAME=TURNS (front=2); every camera '
        'gets one at least.')
    max_age: float = _parameter(
        0.0, 'Seconds. An image older than this, by its stamp and the clock of the node, is not '
        'labelled, and labels that are older when published are marked invalid in '
        'segmentation/status; 0: no limit.', bounds=(0.0, 3600.0), live=True)
    max_rate: float = _parameter(
        0.0, 'Most images a second of each camera that are labelled; 0: as many as the device '
        'manages.', bounds=(0.0, 1000.0), live=True)
    max_pixels: int = _parameter(
        7680 * 4320, 'Larger images, in pixels, are rejected before memory is allocated for them.',
        bounds=(1, 2**31 - 1), live=True)
    min_confidence: float = _parameter(
        0.0, 'Pixels whose label is less probable than this become 255, unknown; 0: none.',
        bounds=(0.0, 1.0), live=True)
    invalid_images: str = _parameter(
        'publish', 'What to do with images of a frozen, black, overexposed or blurred camera: '
        'publish (labels, marked invalid in segmentation/status), unknown (all labels 255) or '
        'drop (only the status).', choices=('publish', 'unknown', 'drop'), live=True)
    frozen_frames: int = _parameter(
        Limits.frozen_frames, 'A camera is frozen after this many further images of the same '
        'content; 0: no check.', bounds=(0, 10**6), live=True)
    black_level: float = _parameter(
        Limits.black_level, 'Brightness below which an image is black; 0: no check.',
        bounds=(0.0, 1.0), live=True)
    overexposed_share: float = _parameter(
        Limits.overexposed_share, 'Share of white pixels above which an image is overexposed; '
        '1: no check.', bounds=(0.0, 1.0), live=True)
    blur_level: float = _parameter(
        Limits.blur_level, 'Sharpness below which an image is blurred beyond use; 0: no check.',
        bounds=(0.0, 1.0), live=True)
    camera_timeout: float = _parameter(
        1.0, 'Seconds without an image after which a camera is stale on /diagnostics.',
        bounds=(0.01, 3600.0), live=True)
    max_allowed_processing_time_ms: float = _parameter(
        0.0, 'Processing an image for longer is a warning on /diagnostics; 0: never.',
        bounds=(0.0, 1e6), live=True)
    overlay_alpha: float = _parameter(
        0.5, 'Weight of the class colours in segmentation/overlay.', bounds=(0.0, 1.0), live=True)
    autostart: bool = _parameter(
        True, 'Configure and activate at start; false leaves the transitions to a lifecycle '
        'manager.')

    def __post_init__(self) -> None:
        for item in fields(self):
            choices, value = item.metadata['choices'], getattr(self, item.name)
            if choices and value not in choices:
                raise ValueError(f'parameter {item.name} is {value!r}: it must be one of '
                                 f'{", ".join(choices)}')
        _check_cameras(self.cameras)
        self.turns()

    def limits(self) -> Limits:
        """Return the limits of a camera's images."""
        return Limits(**{item.name: getattr(self, item.name) for item in fields(Limits)})

    def turns(self) -> dict[str, int]:
        """
        Return the turns of each camera in a round, 1 or more.

        :raises ValueError: for a priority of an unknown camera, or a number that is not allowed.
        """
        turns = dict.fromkeys(self.cameras, 1)
        for text in filter(None, self.priorities):
            name, _, number = text.rpartition('=')
            if name not in turns:
                raise ValueError(f'parameter priorities holds {text!r}: there is no camera '
                                 f'{name!r}; NAME=TURNS takes one of {", ".join(self.cameras)}')
            if not number.isdecimal() or not 1 <= int(number) <= MOST_TURNS:
                raise ValueError(f'parameter priorities holds {text!r}: the turns must be a whole '
                                 f'number from 1 to {MOST_TURNS}')
            turns[name] = int(number)
        return turns


def parameter_help() -> str:
    """Return a text that explains every parameter."""
    return '\n'.join(
        textwrap.fill(f'{item.name} ({getattr(Parameters(), item.name)!r}): '
                      f'{item.metadata["description"]}', 95, initial_indent='  ',
                      subsequent_indent='      ') for item in fields(Parameters))


def declare_parameters(node: Node) -> None:
    """
    Declare every parameter on a node.

    :raises ValueError: for a value of another type that the node was started with.
    """
    for item in fields(Parameters):
        descriptor = ParameterDescriptor(description=item.metadata['description'])
        if item.metadata['choices']:
            descriptor.additional_constraints = 'one of ' + ', '.join(item.metadata['choices'])
        if item.metadata['bounds']:
            low, high = item.metadata['bounds']
            if item.type is int:
                descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
            else:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        default = getattr(Parameters(), item.name)
        node.declare_parameter(item.name, default, descriptor, ignore_override=True)
        # Set afterwards: an override of `overlay_alpha:=1`, an int, would end the node in rclpy.
        if given := node._parameter_overrides.get(item.name):
            result, = node.set_parameters([as_declared(given)])
            if not result.successful:
                raise ValueError(result.reason)


def as_declared(parameter: Parameter) -> Parameter:
    """
    Return a parameter in the type that it is declared with.

    A whole number also fits a double and vice versa, and names with commas a list of texts.

    :raises ValueError: for another type; names the parameter, its value and what it must be.
    """
    name, value = parameter.name, parameter.value
    kind: Any = next((item.type for item in fields(Parameters) if item.name == name), None)
    if kind is None or fits(value, kind):
        return parameter
    if kind is float and fits(value, int):
        return Parameter(name, value=float(value))
    if kind is int and isinstance(value, float) and value.is_integer():
        return Parameter(name, value=int(value))
    if kind == list[str] and isinstance(value, str):
        return Parameter(name, value=[part.strip() for part in value.split(',')])
    if kind == list[str] and value in (None, []):
        return Parameter(name, Parameter.Type.STRING_ARRAY, [])
    raise ValueError(f'parameter {name} is {value!r}: it must be '
                     + WANTED[kind].format(name=name, value=value))


def fits(value: Any, kind: type) -> bool:
    """Return whether a value is of a type; a bool is not an int here."""
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    return type(value) is kind


def unknown_parameters(node: Node) -> list[str]:
    """Return a sentence on each value that a node was started with but has no parameter for."""
    own = [item.name for item in fields(Parameters)]
    sentences = []
    for name in node._parameter_overrides:  # rclpy shows them nowhere else
        if node.has_parameter(name) or name.startswith('qos_overrides.'):
            continue
        alike = get_close_matches(name, own, n=1)
        advice = f'did you mean {alike[0]}?' if alike else 'segret_node --help lists them'
        sentences.append(f'{name!r} is no parameter of this node and is ignored: {advice}')
    return sentences


def read_parameters(node: Node) -> Parameters:
    """
    Return the node's values of the declared parameters.

    :raises ValueError: for a value that is not allowed; names the parameter and the rule.
    """
    return Parameters(**{item.name: node.get_parameter(item.name).value
                         for item in fields(Parameters)})


def changed_parameters(current: Parameters, changes: dict[str, Any]) -> Parameters:
    """
    Return the parameters of a configured node after a change.

    :param changes: new values by name; names that are not in `Parameters` are ignored.
    :raises ValueError: for a parameter that is read on configure, or a value that is not allowed.
    """
    own = {item.name: item for item in fields(Parameters) if item.name in changes}
    for name, item in own.items():
        if not item.metadata['live'] and changes[name] != getattr(current, name):
            raise ValueError(f'parameter {name} is read on configure: deactivate and clean up the '
                             'node, set it, and configure again')
    return replace(current, **{name: changes[name] for name in own})


def _check_cameras(names: list[str]) -> None:
    if not names:
        raise ValueError("parameter cameras is empty: give at least one name; [''] is a single "
                         'camera without prefix')
    if len(set(names)) != len(names):
        raise ValueError(f'parameter cameras is {names}: each name must occur once')
    for name in names:
        if name and not CAMERA_NAME.fullmatch(name):
            raise ValueError(f'parameter cameras holds {name!r}: a name must be letters, digits '
                             'and _, not starting with a digit; / may stand between two such')
