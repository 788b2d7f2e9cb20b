# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The processor, as Linux describes it."""

from pathlib import Path

CPUINFO = Path('/proc/cpuinfo')


def read_cpuinfo() -> str:
    """Return the text of /proc/cpuinfo; empty on a system without it."""
    return CPUINFO.read_text() if CPUINFO.is_file() else ''


def processor_facts(cpuinfo: str) -> dict[str, str]:
    """
    Return what a processor is and can do, by the names of /proc/cpuinfo.

    :param cpuinfo: its text; of several processors the last one counts.
    """
    lines = (line.partition(':') for line in cpuinfo.splitlines())
    return {key.strip(): ' '.join(value.split()) for key, _, value in lines}


def processor_name(facts: dict[str, str]) -> str:
    """Return the model name, or that of the board; empty where Linux knows neither."""
    return facts.get('model name') or facts.get('Model') or ''
