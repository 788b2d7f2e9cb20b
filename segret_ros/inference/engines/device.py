# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The devices that an engine can be asked for by name."""

import re

DEVICES = ('auto, cpu, openvino, cuda, cuda:N, tensorrt, tensorrt:N, torch, torch:N, '
           'torch:float32, torch:N:float32 or torch:cpu')
NAME = re.compile(r'cpu|openvino|torch:cpu|(cuda|tensorrt)(:[0-9]+)?|torch(:[0-9]+)?(:float32)?')
EXACT = ':float32'  # ends the name of a device that must not compute in half precision


class DeviceError(ValueError):
    """A device that does not exist here; the message names what is missing and what is there."""


def kind_of(device: str) -> str:
    """
    Return a device's name without its number: `cpu`, `openvino`, `cuda`, `tensorrt` or `torch`.

    :raises DeviceError: for any other word.
    """
    if not NAME.fullmatch(device):
        raise DeviceError(f'no device {device!r}: use {DEVICES}')
    return device.partition(':')[0]


def number_of(device: str) -> int:
    """
    Return the number of the GPU that a device is.

    :raises DeviceError: for a word that is no device.
    """
    number = gpu_of(device)
    assert number is not None, f'{device} is a CPU'
    return number


def gpu_of(device: str) -> int | None:
    """
    Return the number of a device's GPU, None for a CPU.

    :raises DeviceError: for a word that is no device.
    """
    kind, number = kind_of(device), device.removesuffix(EXACT).partition(':')[2]
    if kind in ('cpu', 'openvino') or number == 'cpu':
        return None
    return int(number or 0)
