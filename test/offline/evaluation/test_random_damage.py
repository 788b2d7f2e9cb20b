# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random damage to labels and stamps: each frame is scored or counted; no input changes."""

from collections.abc import Iterator
from functools import cache
import json
from pathlib import Path
import random

import numpy as np
import pytest
from recordings import CAMERA, evaluate, restamped, sample_drive, TRUE_LABEL, write_bag
from segret_ros.inference import Model
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.offline.bags import Recorded, serialize
from segret_ros.offline.evaluation import evaluate as loop

SEEDS = range(6)
START = 1_700_000_000 * 10 ** 9
FRAMES = 3


@pytest.fixture(autouse=True)
def one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the model once."""
    monkeypatch.setattr(loop, 'open_validated_engine', engine)


@cache
def engine(model: Model, device: str, streams: int | None) -> Engine:
    return open_engine(model, device)


def mutated(seed: int) -> Iterator[Recorded]:
    """Return a short drive with odd stamps, and with labels that are cut, changed or left out."""
    chance = random.Random(seed)
    stamps = [[0] * FRAMES, [START] * FRAMES, [START - 2 * 10 ** 9 * n for n in range(FRAMES)],
              [START + 10 ** 8 * n for n in range(FRAMES)]]
    for topic in (CAMERA, TRUE_LABEL):
        stamps_ns = chance.choice(stamps)
        own = [item for item in sample_drive() if item.topic == topic][:FRAMES]
        for stamp_ns, item in zip(stamps_ns, own):
            item = restamped(item, stamp_ns)
            message = item.message()
            content = bytearray(message.data.tobytes())
            kind = chance.randrange(8)
            if kind == 0:
                content = content[:chance.randrange(len(content))]
            elif kind == 1:
                for _ in range(20):
                    content[chance.randrange(len(content))] = chance.randrange(256)
            message.data = np.frombuffer(bytes(content), np.uint8)
            if kind != 2:
                yield serialize(topic, item.time_ns, message)
            if kind == 3:
                yield serialize(topic, item.time_ns + chance.randrange(10 ** 8), message)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('seed', SEEDS)
def test_each_frame_is_scored_or_counted(seed: int, tmp_path: Path) -> None:
    drive = write_bag(tmp_path / 'drive', sorted(mutated(seed), key=lambda item: item.time_ns))
    before = contents(drive)
    arguments = [drive, '--labels', TRUE_LABEL, '--device', 'cpu', '--output', tmp_path / 'out']
    printed = evaluate(*arguments, code=None)
    assert 'Traceback' not in printed and contents(drive) == before
    found = json.loads((tmp_path / 'out' / 'metrics.json').read_text())['all']
    scores = found['scores']
    assert scores['unmatched'] >= 0 and scores['unmatched_labels'] >= 0
    assert scores['matched'] + scores['unmatched'] + sum(scores['unscored'].values()) == \
        found['frames']
    assert sum(found['rejected'].values()) == found['problems'].get('rejected', 0)
