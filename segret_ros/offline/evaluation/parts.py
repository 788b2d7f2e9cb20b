# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Finished parts of a drive on disk, so that an interrupted evaluation goes on where it stopped.

A part is a folder that appears whole. It holds lines of frames.csv, the counts of each camera, a
bag of the results, and what the next part has to know of the frames before it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import pickle
import shutil

import numpy as np
from segret_ros.offline.bags import BagWriter, open_bag, Recorded
from segret_ros.offline.evaluation.faults import Faults
from segret_ros.offline.evaluation.tally import Tally

ROWS, COUNTS, RESULT, MEMORY = 'frames.csv', 'counts.npz', 'result', 'memory.pickle'
FAULTS = 'faults.json'
DONE = 'done.json'
PARTIAL = 'partial'


class Part:
    """
    What is gathered of some frames of a bag.

    :param folder: that is being filled.
    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, folder: Path, num_classes: int) -> None:
        self._folder = folder
        self._num_classes = num_classes
        self._rows: list[str] = []
        self.tallies: dict[str, Tally] = {}
        self.faults = Faults()
        self._writer = BagWriter(folder / RESULT)

    @property
    def frames(self) -> int:
        """Give how many frames there are."""
        return len(self._rows)

    def tally(self, camera: str) -> Tally:
        """Give the counts of a camera, to add to."""
        return self.tallies.setdefault(camera, Tally(self._num_classes))

    def add(self, row: str, messages: Iterator[Recorded]) -> None:
        """Add a frame's line and its results."""
        self._rows.append(row)
        for recorded in messages:
            self._writer.write(recorded)

    def __enter__(self) -> 'Part':
        self._writer.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self._writer.__exit__(*exception)

    def save(self, memory: object) -> None:
        """Write all but the results, which are written already."""
        (self._folder / ROWS).write_text(''.join(self._rows), encoding='utf-8')
        (self._folder / FAULTS).write_text(json.dumps(self.faults.as_json()))
        np.savez(self._folder / COUNTS, **{
            f'{camera}\n{name}': array for camera, tally in self.tallies.items()
            for name, array in tally.arrays().items()})
        (self._folder / MEMORY).write_bytes(pickle.dumps(memory))


class Parts:
    """
    The parts of one bag.

    :param folder: that holds them.
    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, folder: Path, num_classes: int) -> None:
        self.folder = folder
        self._num_classes = num_classes
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)  # of an interrupted run

    def folders(self) -> list[Path]:
        """Give the folders of the finished parts, in order."""
        return sorted(path for path in self.folder.iterdir() if path.name.isdecimal())

    @contextmanager
    def new(self) -> Iterator[Part]:
        """Give a part to fill; call its `save` last. It counts once the block has ended well."""
        partial = self.folder / PARTIAL
        partial.mkdir()
        with Part(partial, self._num_classes) as part:
            yield part
        partial.rename(self.folder / f'{len(self.folders()):06d}')

    def frames(self) -> int:
        """Give how many frames the finished parts hold."""
        return sum(self._rows(folder).count('\n') for folder in self.folders())

    def memory(self) -> object | None:
        """Give what the last finished part knows for the next, or None before the first."""
        folders = self.folders()
        return pickle.loads((folders[-1] / MEMORY).read_bytes()) if folders else None

    def finish(self, told: dict) -> None:
        """Note that the bag is at its end, and what is told of it."""
        partial = self.folder / f'.{DONE}'
        partial.write_text(json.dumps(told))
        partial.rename(self.folder / DONE)

    def told(self) -> dict | None:
        """Give what `finish` noted; None where the bag is not at its end."""
        path = self.folder / DONE
        return json.loads(path.read_text()) if path.is_file() else None

    def tallies(self) -> dict[str, Tally]:
        """Give the counts of each camera over all parts."""
        total: dict[str, Tally] = {}
        for folder in self.folders():
            for camera, tally in self._tallies(folder).items():
                total.setdefault(camera, Tally(self._num_classes)).merge(tally)
        return total

    def faults(self) -> Faults:
        """Return why frames have no labels, and labels no score, over all parts."""
        total = Faults()
        for folder in self.folders():
            total.add_json(json.loads((folder / FAULTS).read_text()))
        return total

    def rows(self) -> Iterator[str]:
        """Give the lines of frames.csv, a part at a time."""
        return map(self._rows, self.folders())

    def results(self) -> Iterator[Recorded]:
        """Give the result's messages in order."""
        for folder in self.folders():
            with open_bag(folder / RESULT) as bag:
                yield from bag.messages(list(bag.topics))

    def _rows(self, folder: Path) -> str:
        return (folder / ROWS).read_text(encoding='utf-8')

    def _tallies(self, folder: Path) -> dict[str, Tally]:
        cameras: dict[str, dict[str, np.ndarray]] = {}
        with np.load(folder / COUNTS) as arrays:
            for key, array in arrays.items():
                camera, name = key.split('\n')
                cameras.setdefault(camera, {})[name] = array
        return {camera: Tally.of(arrays, self._num_classes)
                for camera, arrays in cameras.items()}
