# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The devices of this machine as text for a terminal."""

from segret_ros.inference.engines.devices import Device


def to_text(devices: list[Device], of_auto: list[str]) -> str:
    """
    Give a table of the devices, with what makes the others usable.

    :param of_auto: the devices that `auto` may take, the best first.
    """
    width = max(len(device.engine) for device in devices)
    lines = [f'{"device":<10}{"engine":<{width + 2}}usable']
    for device in devices:
        usable = 'no' if device.lacks else 'yes'
        lines.append(f'{device.name:<10}{device.engine or "-":<{width + 2}}{usable}')
        for lack in device.lacks:
            lines += [f'{"":<10}- {lack.what}', f'{"":<10}  {lack.remedy}']
    usable = [device.name for device in devices if not device.lacks]
    taken = next(name for name in of_auto if name in usable)
    return '\n'.join([*lines, '', f'auto takes {taken}'])
