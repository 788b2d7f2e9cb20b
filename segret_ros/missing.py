# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What to do without a package that only some commands need, or that comes as one of several."""

from importlib import metadata
import platform
import re
import shlex

# PyPI has no wheels with CUDA for ARM.
FOR_A_GPU = ('for a Jetson the wheel that docs/jetson.md tells of'
             if platform.machine() == 'aarch64' else
             "for an NVIDIA GPU pip install 'onnxruntime-gpu[cuda,cudnn]>=1.19'")
INSTALL_ONNXRUNTIME = f"pip install 'onnxruntime>=1.19', or {FOR_A_GPU}"
ONNXRUNTIME = f'ONNX Runtime is not installed: {INSTALL_ONNXRUNTIME}'
ROS = "source a ROS 2 installation or pip install 'segret_ros[ros]'"


def remedy(extra: str) -> str:
    """
    Return what brings the packages of an extra.

    They are named one by one: `pip install 'segret_ros[...]'` would also bring its own OpenCV and
    NumPy, which hide those of a ROS 2 installation.
    """
    if extra == 'ros':
        return ROS
    wanted = f'extra == "{extra}"'
    try:
        requirements = metadata.requires('segret_ros') or []
    except metadata.PackageNotFoundError:  # run from its sources
        requirements = []
    packages = [shlex.quote(re.sub(r'(;| and) *$', '', requirement.partition(wanted)[0]))
                for requirement in requirements if wanted in requirement]
    return f'pip install {" ".join(packages)}' if packages else (
        f"pip install '.[{extra}]' in the sources of segret_ros")
