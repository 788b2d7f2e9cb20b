# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The finished parts of a drive on disk, from which an interrupted evaluation resumes.

A part is a folder that appears when it is complete. It holds the columns of its frames, the counts
of each camera, a bag of the results, and the memory of its frames that the next part needs: data
only, read without unpickling.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import json
from pathlib import Path
import shutil
from typing import Any

import numpy as np
from segret_ros.offline.bags import BagWriter, open_bag, Recorded
from segret_ros.offline.evaluation.output import Columns, columns_of, Json
from segret_ros.offline.evaluation.tally import Faults, Tally

VERSION = 3  # of the files of a part; those of version 1 held pickled code
ROWS, COUNTS, RESULT, MEMORY = 'frames.npz', 'counts.npz', 'result', 'memory.npz'
FAULTS = 'faults.json'
DONE = 'done.json'
PARTIAL = 'partial'

Arrays = Mapping[str, np.ndarray]


class Part:
    """The part that is being filled; use it in a `with` block."""

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder = folder
        self._classes = classes
        self.rows: list[dict[str, object]] = []  # values by column, of each frame
        self.tallies: dict[str, Tally] = {}
        self.faults = Faults()
        self._writer = BagWriter(folder / RESULT)

    def tally(self, camera: str) -> Tally:
        """Return the counts of a camera, to be added to."""
        return self.tallies.setdefault(camera, Tally(len(self._classes)))

    def add(self, row: dict[str, object], messages: Iterable[Recorded]) -> None:
        """Add a frame's values and its results."""
        self.rows.append(row)
        for recorded in messages:
            self._writer.write(recorded)

    def __enter__(self) -> 'Part':
        self._writer.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(*exception)

    def save(self, memory: Mapping[str, Arrays]) -> None:
        """Write everything but the results, which `add` writes."""
        _save(self._folder / ROWS, columns_of(self.rows, self._classes))
        (self._folder / FAULTS).write_text(json.dumps(self.faults.as_json()))
        _save(self._folder / COUNTS,
              _flat({camera: tally.arrays() for camera, tally in self.tallies.items()}))
        _save(self._folder / MEMORY, _flat(memory))


class Parts:
    """The parts of one bag."""

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self.folder = folder
        self._classes = classes
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)  # of an interrupted run

    def folders(self) -> list[Path]:
        """Return the folders of the finished parts, in order."""
        return sorted(path for path in self.folder.iterdir() if path.name.isdecimal())

    @contextmanager
    def new(self) -> Iterator[Part]:
        """Open a part to fill; call its `save` last. It counts once the block has succeeded."""
        partial = self.folder / PARTIAL
        partial.mkdir()
        with Part(partial, self._classes) as part:
            yield part
        partial.rename(self.folder / f'{len(self.folders()):06d}')

    def frames(self) -> int:
        """Return how many frames the finished parts hold."""
        return sum(len(columns['time_ns']) for columns in self.columns(['time_ns']))

    def memory(self) -> dict[str, dict[str, np.ndarray]]:
        """Return the memory that the last finished part saved for the next; empty without one."""
        folders = self.folders()
        return _load(folders[-1] / MEMORY) if folders else {}

    def finish(self, noted: Json) -> None:
        """Mark the bag as evaluated to its end, with notes that `finished` then returns."""
        partial = self.folder / f'.{DONE}'
        partial.write_text(json.dumps(noted))
        partial.rename(self.folder / DONE)

    def finished(self) -> Json | None:
        """Return the notes of `finish`; None if the bag was not evaluated to its end."""
        path = self.folder / DONE
        return json.loads(path.read_text()) if path.is_file() else None

    def tallies(self) -> dict[str, Tally]:
        """Return the counts of each camera over all parts."""
        total: dict[str, Tally] = {}
        for folder in self.folders():
            for camera, arrays in _load(folder / COUNTS).items():
                total.setdefault(camera, Tally(len(self._classes))).merge(arrays)
        return total

    def faults(self) -> Faults:
        """Return why frames have no labels, and labels no score, over all parts."""
        total = Faults()
        for folder in self.folders():
            for fault in json.loads((folder / FAULTS).read_text()):
                total.add(**fault)
        return total

    def columns(self, names: Sequence[str]) -> Iterator[Columns]:
        """Yield some columns of `columns_of`, part by part."""
        for folder in self.folders():
            with np.load(folder / ROWS) as arrays:
                yield {name: arrays[name] for name in names}

    def results(self) -> Iterator[Recorded]:
        """Yield the result's messages in order."""
        for folder in self.folders():
            with open_bag(folder / RESULT) as bag:
                yield from bag.messages(list(bag.topics))


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, **arrays)


def _flat(cameras: Mapping[str, Arrays]) -> Arrays:
    return {f'{camera}\n{name}': array for camera, arrays in cameras.items()
            for name, array in arrays.items()}


def _load(path: Path) -> dict[str, dict[str, np.ndarray]]:
    cameras: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as arrays:
        for key, array in arrays.items():
            camera, name = key.split('\n')
            cameras.setdefault(camera, {})[name] = array
    return cameras
