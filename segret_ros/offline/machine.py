# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a measurement was made on."""

from dataclasses import dataclass
import os
from pathlib import Path
import platform

CPUINFO = Path('/proc/cpuinfo')
STATUS = Path('/proc/self/status')


@dataclass(frozen=True)
class Machine:
    """
    A computer.

    :param cpu: model name of its processor.
    :param cores: that this process may use.
    :param platform: operating system and architecture.
    """

    cpu: str
    cores: int
    platform: str

    def __str__(self) -> str:
        plural = 's' if self.cores > 1 else ''
        return f'{self.cpu}, {self.cores} core{plural}, {self.platform}'


def this_machine() -> Machine:
    """Give the computer that this runs on."""
    return Machine(cpu_name(CPUINFO.read_text()), len(os.sched_getaffinity(0)),
                   f'{platform.system()} {platform.release()} {platform.machine()}')


def cpu_name(cpuinfo: str) -> str:
    """
    Give the processor's model name.

    :param cpuinfo: text of /proc/cpuinfo; where it names no model, as on some ARM boards, the
        architecture is given.
    """
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(':')
        if key.strip() in ('model name', 'Model') and value.strip():
            return ' '.join(value.split())
    return f'{platform.machine()} processor'


def memory_mb(field: str) -> float:
    """
    Give this process's resident memory in MB.

    The `ru_maxrss` of getrusage is no use here: a process starts with its parent's.

    :param field: of /proc/self/status: `VmRSS` is now, `VmHWM` the largest so far.
    """
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f'{field}:'))
    return int(line.split()[1]) * 1024 / 1e6
