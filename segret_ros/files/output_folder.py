# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Folders that commands fill without ever costing the user a file.

A command fills a folder that is new, empty or its own: one with a list, `LIST`, of the files that
it wrote there. In its own it replaces these files and leaves all others alone.
"""

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
import json
import os
from pathlib import Path
import shutil
import sys

from segret_ros.files.atomic import write_text

LIST = '.segret_output.json'
WORK = '.work'  # unfinished files, inside the folder: on the same disk, and found again


class OutputError(ValueError):
    """An output that would overwrite a user's file; names it, the rule and the way out."""


@dataclass(frozen=True)
class Layout:
    """
    What a command writes into its folder.

    :param command: as the user calls it.
    :param files: patterns of its files, such as `overlays/*.jpg`, or `overlays/**` at any depth.
    :param signatures: sets of files, one of which is in each folder filled by a version of the
        command that wrote no lists.
    :param live: files written in place, such as a log that a failed run leaves.
    :param grows: the command continues in its folder, and replaces only single files.
    """

    command: str
    files: tuple[str, ...]
    signatures: tuple[frozenset[str], ...] = ()
    live: frozenset[str] = frozenset()
    grows: bool = False


class OutputFolder:
    """
    A folder that a command may fill.

    :param inputs: files and folders that the command reads.
    :param resume: keep the work of an interrupted run.
    :raises OutputError: for a folder that is, holds or lies in an input, or that does not belong
        to the command; nothing is touched then.
    """

    def __init__(self, layout: Layout, path: str | Path, inputs: Iterable[str | Path] = (),
                 resume: bool = False) -> None:
        self.path = Path(path)
        self.made = self.path / WORK / 'made'
        self._layout = layout
        refuse_overlap(self.path, inputs)
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise OutputError(f'{self.path} is no folder: name a new or empty one')
        self._earlier = self._written_earlier()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_list(self._earlier | layout.live)
        if layout.grows:
            return
        _clear(self.made if resume else self.path / WORK)
        self.made.mkdir(parents=True, exist_ok=True)

    def publish(self, last: str = '') -> None:
        """
        Replace what an earlier run left with what was made.

        :param last: the file whose presence means that all others are complete.
        """
        made = set(_entries(self.made))
        if in_the_way := sorted(name for name in made - self._earlier
                                if os.path.lexists(self.path / name)):
            raise OutputError(f'{self.path / in_the_way[0]} is not of {self._layout.command}: '
                              'move it away')
        own = {name for name in made if self._is_written(name)} | self._layout.live
        self._write_list(self._earlier | own)
        if last in self._earlier:
            (self.path / last).unlink(missing_ok=True)
        for path in sorted(self.made.iterdir(), key=lambda path: (path.name == last, path)):
            _move(path, self.path / path.name)
        for name in self._earlier - own:
            self._remove(name)
        self._write_list(own)
        if replaced := len(self._earlier - self._layout.live):
            print(f'{self._layout.command}: replaced the {replaced} files of an earlier run in '
                  f'{self.path}', file=sys.stderr)

    def discard(self) -> None:
        """Remove the unfinished work, and the folder if it is empty."""
        _clear(self.path / WORK)
        if next(_entries(self.path), None) is None:
            (self.path / LIST).unlink(missing_ok=True)
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def _written_earlier(self) -> Set[str]:
        """Return what the command left in the folder, as paths in it."""
        if not self.path.is_dir():
            return set()
        command, listed = _read_list(self.path / LIST)
        if not command:
            present = next(self.path.iterdir(), None)
            if present is None:
                return set()
            if not any(all(os.path.lexists(self.path / name) for name in signature)
                       for signature in self._layout.signatures):
                raise self._foreign(present)
        elif command != self._layout.command:
            raise OutputError(f'{self.path} is an output of {command}: name a new or empty '
                              'folder')
        entries = set(_entries(self.path))
        if not command or self._layout.grows:
            listed = {name for name in entries if self._is_written(name)}
        for name in sorted(entries - listed):
            if any(_meets(name, pattern) for pattern in self._layout.files):
                raise self._foreign(self.path / name)
        return entries & listed

    def _foreign(self, path: Path) -> OutputError:
        return OutputError(f'{path} is not of {self._layout.command}, which fills new, empty or '
                           'its own folders alone: name another, or move that away')

    def _is_written(self, name: str) -> bool:
        depth = name.count('/')
        return not (self.path / name).is_symlink() and any(
            _meets(name, pattern) and (depth == pattern.count('/') or pattern.endswith('/**'))
            for pattern in self._layout.files)

    def _write_list(self, files: Set[str]) -> None:
        write_text(self.path / LIST, json.dumps(
            {'command': self._layout.command, 'files': sorted(files)}, indent=1))

    def _remove(self, name: str) -> None:
        path = self.path / name
        path.unlink(missing_ok=True)
        while (path := path.parent) != self.path and not any(path.iterdir()):
            path.rmdir()


@contextmanager
def output_folder(layout: Layout, path: str | Path,
                  inputs: Iterable[str | Path] = ()) -> Iterator[OutputFolder]:
    """
    Claim a folder to fill; what is in its `made` is published when the block succeeds.

    :param inputs: as of `OutputFolder`.
    """
    folder = OutputFolder(layout, path, inputs)
    try:
        yield folder
        folder.publish()
    finally:
        folder.discard()


def refuse_overlap(output: str | Path, inputs: Iterable[str | Path]) -> None:
    """
    Refuse an output that is, holds or lies in an input, through any links and mounts.

    :raises OutputError: naming both.
    """
    output_path = Path(os.path.realpath(output))
    for given in inputs:
        input_path = Path(os.path.realpath(given))
        for relation, one, others in (('is', output_path, [input_path]),
                                      ('holds', output_path, input_path.parents),
                                      ('lies in', input_path, output_path.parents)):
            if any(same(one, other) for other in others):
                raise OutputError(f'the output {output} {relation} the input {given}: name '
                                  'another place for it')


def same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file or folder, or would."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # one of them does not exist
        return False


def _entries(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files in a folder, except the list and the work."""
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        if inside == Path():
            folders[:] = [name for name in folders if name != WORK]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from ((inside / name).as_posix() for name in files + links
                    if inside != Path() or name != LIST)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _move(source: Path, target: Path) -> None:
    """Move a file, or what is in a folder, whole file by whole file."""
    if source.is_dir() and target.is_dir():
        for path in sorted(source.iterdir()):
            _move(path, target / path.name)
    else:
        source.replace(target)


def _meets(name: str, pattern: str) -> bool:
    """Return whether a file matches a pattern, or is in the way of one that does."""
    return all(map(fnmatchcase, name.split('/'), pattern.split('/')))


def _read_list(path: Path) -> tuple[str, Set[str]]:
    """Return the command and the files of a list; nothing if there is none."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return str(content['command']), set(map(str, content['files']))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return '', set()
