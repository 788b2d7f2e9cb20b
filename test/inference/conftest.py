# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames of the sample drive, and a stand-in for the NVIDIA driver."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from segret_ros.files.share import share_directory
from segret_ros.inference.engines import nvidia

DRIVER = """
#include <stddef.h>
#include <string.h>
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
int cuInit(unsigned flags) { return STATUS; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) {
    strncpy(name, device ? "GPU B" : "GPU A", size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int major = attribute == 75;
    *value = device ? (major ? 12 : 1) : (major ? 8 : 7); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (device ? 24ul : 8ul) << 30; return 0; }
int cuGetErrorString(int status, const char **text) { *text = "no luck"; return 0; }
size_t cudnnGetVersion(void) { return 91002; }
int getInferLibVersion(void) { return 101303; }
"""


@pytest.fixture(scope='session')
def frames() -> list[np.ndarray]:
    """Read every tenth frame of the sample drive, (360, 480, 3) uint8 RGB; do not change them."""
    from segret_ros.offline.bags import read_bag
    drive = read_bag(share_directory() / 'data' / 'sample_drive', ['/camera/image_raw/compressed'])
    return [cv2.imdecode(np.asarray(recorded.message().data), cv2.IMREAD_COLOR)[..., ::-1].copy()
            for recorded in islice(drive, 0, None, 10)]


@pytest.fixture(scope='session')
def compiled() -> Callable[..., Path]:
    """Return a function that compiles C code to a shared library."""
    if shutil.which('gcc') is None:
        pytest.skip('needs gcc')

    def compiled(path: Path, code: str, *arguments: str) -> Path:
        command = ['gcc', '-shared', '-fPIC', '-x', 'c', '-', '-x', 'none', '-o', str(path)]
        subprocess.run([*command, *arguments], input=code, text=True, check=True)
        return path

    return compiled


@pytest.fixture
def driver(compiled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
           ) -> Callable[[int, int, int], str]:
    """Return a function that puts a library in the place of the NVIDIA driver's, cuDNN's too."""
    def driver(version: int, status: int, count: int) -> str:
        path = str(compiled(tmp_path / 'libcuda.so.1', DRIVER, f'-DVERSION={version}',
                            f'-DSTATUS={status}', f'-DCOUNT={count}'))
        monkeypatch.setattr(nvidia, 'DRIVER', path)
        return path

    return driver
