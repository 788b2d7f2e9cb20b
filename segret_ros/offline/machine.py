# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The computer that a measurement is made on."""

from dataclasses import dataclass
import os
from pathlib import Path
import platform

from segret_ros.inference.processor import processor_facts, processor_name, read_cpuinfo


@dataclass(frozen=True)
class Machine:
    """A computer; its cores are those that this process may use."""

    cpu: str
    cores: int
    platform: str

    def __str__(self) -> str:
        plural = 's' if self.cores > 1 else ''
        return f'{self.cpu}, {self.cores} core{plural}, {self.platform}'


def this_machine() -> Machine:
    """Describe the computer that this runs on."""
    return Machine(cpu_name(read_cpuinfo()), len(os.sched_getaffinity(0)),
                   f'{platform.system()} {platform.release()} {platform.machine()}')


def cpu_name(cpuinfo: str) -> str:
    """
    Return the processor's model name, or its architecture: some ARM boards name no model.

    :param cpuinfo: text of /proc/cpuinfo.
    """
    return processor_name(processor_facts(cpuinfo)) or f'{platform.machine()} processor'


def memory_mb(field: str, process: int | str = 'self') -> float:
    """
    Return a process's resident memory in MB; 0 once it has ended.

    The `ru_maxrss` of getrusage is of no use: a process inherits it from its parent.

    :param field: of its /proc/PID/status: `VmRSS` is now, `VmHWM` the largest so far.
    """
    try:
        lines = Path(f'/proc/{process}/status').read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines
                 if line.startswith(f'{field}:')), 0.0)
