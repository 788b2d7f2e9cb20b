# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the tests on a GPU measured: a table at the end, and `out/test_gpu.json`."""

from collections.abc import Callable
from importlib.util import find_spec
import json
from pathlib import Path

import pytest
from tabulate import tabulate

REPORT = Path('out') / 'test_gpu.json'
ROWS = pytest.StashKey[list[tuple[str, float, str]]]()
Measured = Callable[[str, float, str], None]

if not find_spec('torch'):
    collect_ignore_glob = ['*']


def pytest_configure(config: pytest.Config) -> None:
    """Start an empty table."""
    config.stash[ROWS] = []


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Measured:
    """Return what takes a name, a value and its unit to the table."""
    return lambda name, value, unit: pytestconfig.stash[ROWS].append((name, value, unit))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config
                            ) -> None:
    """Print the table and write the file, where anything was measured."""
    rows = config.stash[ROWS]
    if not rows:
        return
    import torch
    gpu = torch.cuda.get_device_name(0)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({
        'gpu': gpu, 'torch': torch.__version__,
        'measured': [dict(zip(('name', 'value', 'unit'), row)) for row in rows]}, indent=1))
    terminalreporter.section(f'{gpu}, PyTorch {torch.__version__}: {REPORT}')
    terminalreporter.write_line(tabulate(rows, ['', 'measured', 'unit'], floatfmt='.5g'))
