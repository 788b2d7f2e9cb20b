# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages for the user: why something failed, and how to install what is missing."""

from importlib import metadata
import platform
import re
import shlex

# PyPI has no wheels with CUDA for ARM.
FOR_A_GPU = ('for a Jetson the wheel that docs/jetson.md names'
             if platform.machine() == 'aarch64' else
             "for an NVIDIA GPU pip install 'onnxruntime-gpu[cuda,cudnn]>=1.19'")
INSTALL_ONNXRUNTIME = f"pip install 'onnxruntime>=1.19', or {FOR_A_GPU}"
NO_ONNXRUNTIME = f'ONNX Runtime is not installed: {INSTALL_ONNXRUNTIME}'
INSTALL_ROS = "source a ROS 2 installation or pip install 'segret_ros[ros]'"
PLACE = re.compile(r',? at \S+\.c(pp)?:\d+')  # in ROS 2's sources, as rcl and rmw append it


def reason(error: BaseException) -> str:
    """Return the first line of an error's text that holds any, or its type's name."""
    lines = (line.strip() for line in PLACE.sub('', str(error)).splitlines())
    return next(filter(None, lines), '') or type(error).__name__


def printable(text: str) -> str:
    """Return a text as one line, with what can't be printed or encoded escaped."""
    return ''.join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def remedy(extra: str) -> str:
    """
    Return how to install the packages of an extra.

    They are named one by one: `pip install 'segret_ros[...]'` would also bring its own OpenCV and
    NumPy, which hide those of a ROS 2 installation.
    """
    if extra == 'ros':
        return INSTALL_ROS
    wanted = f'extra == "{extra}"'
    try:
        requirements = metadata.requires('segret_ros') or []
    except metadata.PackageNotFoundError:  # run from its sources
        requirements = []
    packages = [shlex.quote(re.sub(r'(;| and) *$', '', requirement.partition(wanted)[0]))
                for requirement in requirements if wanted in requirement]
    return f'pip install {" ".join(packages)}' if packages else (
        f"pip install '.[{extra}]' in the sources of segret_ros")
