"""The node's parameters, each declared once: its type, default, meaning and range."""

from dataclasses import dataclass, field, fields
import re
import textwrap
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node

READ_WHEN = 'Read on configure.'
CAMERA_NAME = re.compile(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def _parameter(default: Any, description: str, choices: tuple[str, ...] = (),
               bounds: tuple[float, float] | None = None) -> Any:
    metadata = {'description': description, 'choices': choices, 'bounds': bounds}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Parameters:
    """The values that a node is configured with; the metadata of each field documents it."""

    model: str = _parameter(
        '', 'Path of the model file (.onnx of segret_export); empty: the one shipped with the '
        'package.')
    device: str = _parameter(
        'auto', 'Where the network runs: auto, cpu, openvino, cuda, cuda:N or tensorrt. A device '
        'asked for by name must be there; auto takes CUDA where it works, else OpenVINO where it '
        'is installed, else the CPU.')
    cameras: list[str] = _parameter(
        [''], 'Names of the cameras, which prefix the topics of each (front: front/image, '
        'front/segmentation/label); one empty name: a single camera without prefix.')
    image_transport: str = _parameter(
        'raw', 'What to subscribe to: raw (image) or compressed (image/compressed).',
        choices=('raw', 'compressed'))
    image_reliability: str = _parameter(
        'best_effort', 'Reliability of the image subscription; best_effort also receives from '
        'reliable cameras.', choices=('best_effort', 'reliable'))
    overlay_alpha: float = _parameter(
        0.5, 'Share of the class colour in segmentation/overlay.', bounds=(0.0, 1.0))
    autostart: bool = _parameter(
        True, 'Configure and activate at start; false leaves the transitions to a lifecycle '
        'manager.')


def parameter_help() -> str:
    """Give a text that explains every parameter."""
    return '\n'.join(
        textwrap.fill(f'{item.name} ({getattr(Parameters(), item.name)!r}): '
                      f'{item.metadata["description"]}', 95, initial_indent='  ',
                      subsequent_indent='      ') for item in fields(Parameters))


def declare_parameters(node: Node) -> None:
    """Declare every parameter on a node."""
    for item in fields(Parameters):
        descriptor = ParameterDescriptor(
            description=f'{item.metadata["description"]} {READ_WHEN}')
        if item.metadata['choices']:
            descriptor.additional_constraints = 'one of ' + ', '.join(item.metadata['choices'])
        if item.metadata['bounds']:
            low, high = item.metadata['bounds']
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        default = getattr(Parameters(), item.name)
        node.declare_parameter(item.name, default, descriptor)


def read_parameters(node: Node) -> Parameters:
    """
    Give the node's values of the declared parameters.

    :raises ValueError: for a value that no rule allows; names the parameter and the rule.
    """
    values = Parameters(**{item.name: node.get_parameter(item.name).value
                           for item in fields(Parameters)})
    for item in fields(Parameters):
        choices = item.metadata['choices']
        if choices and getattr(values, item.name) not in choices:
            raise ValueError(f'parameter {item.name} is {getattr(values, item.name)!r}: it must '
                             f'be one of {", ".join(choices)}')
    _check_cameras(values.cameras)
    return values


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
