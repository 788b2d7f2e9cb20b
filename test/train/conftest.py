# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A CamVid of a few small frames, a small network, and commands."""

from collections.abc import Callable, Iterator
from pathlib import Path
import signal
import sys

import cv2
import numpy as np
import pytest
from segret_ros.network.variants import VARIANTS
from segret_train.datasets import DataSet, open_data_set
from segret_train.train import main
from small_nano import SMALL


@pytest.fixture(scope='module')
def small_nano() -> Iterator[None]:
    """Make each nano of a module a small one; not where `network`, a whole nano, is used too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, 'nano', SMALL)
        yield


@pytest.fixture
def camvid_tree(tmp_path: Path) -> Path:
    """Write a folder in CamVid's layout: 8 frames to train on, 2 to validate, 40 x 48."""
    root = tmp_path / 'camvid'
    random = np.random.default_rng(0)
    for split, count in (('train', 8), ('val', 2)):
        for kind in ('images', 'labels'):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            coarse = random.integers(0, 12, (5, 6)).astype(np.uint8)  # 11 is unlabelled
            label = cv2.resize(coarse, (48, 40), interpolation=cv2.INTER_NEAREST)
            image = cv2.applyColorMap(label * 20, cv2.COLORMAP_JET)
            cv2.imwrite(str(root / 'images' / split / f'{number:02}.jpg'), image)
            cv2.imwrite(str(root / 'labels' / split / f'{number:02}.png'), label)
    return root


@pytest.fixture
def camvid(camvid_tree: Path) -> DataSet:
    """Return the data set of that folder."""
    return open_data_set('camvid', camvid_tree)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch,
         capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a `main` on arguments: its exit code and what it printed."""
    def run(main: Callable[[], int], *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['segret', *map(str, arguments)])
        return main(), *capsys.readouterr()
    return run


@pytest.fixture
def train(small_nano: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that runs `segret_train` here, without workers, with a small nano."""
    monkeypatch.setattr(signal, 'signal', lambda *_: None)  # pytest's handlers stay
    return lambda *arguments: main(['--device', 'cpu', '--workers', '0', '--batch-size', '2',
                                    '--crop', '[32,32]', *map(str, arguments)])
