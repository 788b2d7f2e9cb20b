# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where the package's own models, configuration and sample drive are."""

import os
from pathlib import Path
from xml.etree import ElementTree

PACKAGE = 'segret_ros'


def share_directory() -> Path:
    """
    Return the folder that holds `config/`, `models/` and `data/`.

    The source tree when the package runs from one, else `share/segret_ros` of the prefix that pip
    or colcon installed it to.

    :raises FileNotFoundError: when the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    source = package.parent
    if (source / 'package.xml').is_file() and (source / 'models').is_dir():
        return source
    prefixes = [*map(Path, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)),
                *package.parents]
    for prefix in prefixes:
        share = prefix / 'share' / PACKAGE
        if (share / 'config').is_dir():
            return share
    raise FileNotFoundError(f'no share/{PACKAGE} in the prefixes of {package}: install the '
                            'package again with pip or colcon')


def default_model() -> Path:
    """Return the model file that is shipped with the package."""
    return share_directory() / 'models' / 'segret_nano_camvid.onnx'


def package_version() -> str:
    """Return the version of the package."""
    return ElementTree.parse(share_directory() / 'package.xml').findtext('version', 'unknown')
