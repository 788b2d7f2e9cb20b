# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random damage to bags of every format raises no unexpected error, and is always reported."""

from pathlib import Path
import random
import shutil

from bag_files import FORMATS, MESSAGES
from mutation import mutate
import pytest
from segret_ros.offline.bags import BagError, open_bag
from segret_ros.offline.bags.cameras import bag_cameras, remarks

MUTATIONS = 5  # of each format; for an afternoon of them take a larger number


@pytest.mark.parametrize('kind', FORMATS)
def test_no_mutation_is_silent(tmp_path: Path, kind: str) -> None:
    rng = random.Random(kind)
    sound = FORMATS[kind](tmp_path)
    for number in range(MUTATIONS):
        path = tmp_path / f'mutation_{number}' / sound.name
        (shutil.copytree if sound.is_dir() else _copy)(sound, path)
        file = rng.choice(sorted(path.iterdir())) if path.is_dir() else path
        file.write_bytes(mutate(file.read_bytes(), rng))
        left = {item: item.read_bytes() for item in path.parent.rglob('*') if item.is_file()}
        try:
            with open_bag(path) as bag:
                messages = list(bag.messages(list(bag.topics)))
                assert len(messages) == MESSAGES or bag.damage, number
                remarks(bag, bag_cameras(bag, []))
        except BagError as error:
            assert len(str(error).splitlines()) == 1, number
        assert left == {item: item.read_bytes() for item in path.parent.rglob('*')
                        if item.is_file()}, number


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir()
    shutil.copy(source, target)
