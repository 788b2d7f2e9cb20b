# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_engine`."""

import argparse
from collections.abc import Sequence
import hashlib
import logging
from pathlib import Path
import sys
import time

from segret_ros.command_line import FAILED, Parser, REFUSED
from segret_ros.inference import DEVICES, Model
from segret_ros.inference.engines.engine import first_that_succeeds
from segret_ros.inference.serving.cache import CacheError, EngineCache, Entry
from segret_ros.inference.serving.parity import frames_of_folder
from segret_ros.inference.serving.validated import build_validated_engine, ParityError
from segret_ros.text_table import text_table

TITLES = ('model', 'device', 'precision', 'labels equal', 'worst class', 'size', 'built', 'took',
          'usable here')


def arguments_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog='segret_engine',
        description='Engines that are built for a device before they are used: build them ahead, '
                    'list them, remove them. The node builds what is missing by itself.')
    commands = parser.add_subparsers(dest='command', required=True)
    build = commands.add_parser(
        'build', help='build an engine ahead, as for a container image',
        description="Build a model file's engine even if it is cached, compare its labels with "
                    'those of the float32 network, and cache it with the result. Exit code 2 '
                    'means that it failed the parity check.')
    build.add_argument('model', type=Path, metavar='MODEL.onnx', help='model file')
    build.add_argument('--device', default='auto',
                       help=f'{DEVICES} (default: auto, the best that works here)')
    build.add_argument('--frames', type=Path, metavar='FOLDER',
                       help="images to compare on as well, after the model file's own")
    listing = commands.add_parser('list', help='list the cached engines')
    clear = commands.add_parser('clear', help='remove cached engines')
    which = clear.add_mutually_exclusive_group(required=True)
    which.add_argument('model', type=Path, nargs='?', metavar='MODEL.onnx',
                       help='those of this model file, by its name or its content')
    which.add_argument('--all', action='store_true', help='all of them')
    for command in (build, listing, clear):
        command.add_argument('--cache', type=Path, metavar='FOLDER',
                             help='where engines are cached (default: $SEGRET_ENGINE_CACHE, else '
                                  '~/.cache/segret_ros/engines)')
    return parser


class Progress:
    """Prints each phase on the terminal, and how long it took."""

    def __init__(self) -> None:
        self._start: float | None = None

    def __call__(self, phase: str) -> None:
        """End the phase before, and begin one."""
        self.end()
        print(f'{phase:<10} ', end='', file=sys.stderr, flush=True)
        self._start = time.monotonic()

    def end(self) -> None:
        """End the phase that goes on."""
        if self._start is not None:
            print(f'{time.monotonic() - self._start:.1f} s', file=sys.stderr)
            self._start = None


def build(arguments: argparse.Namespace, cache: EngineCache) -> str:
    """
    Build an engine; return the lines for the terminal.

    :raises ParityError: for an engine that fails the parity check; it is cached all the same.
    :raises ValueError, CacheError: for what can't be built or cached.
    """
    model = Model.load(arguments.model)
    frames = frames_of_folder(arguments.frames, model) if arguments.frames else None

    def build_on(device: str) -> str:
        progress = Progress()
        try:
            _, entry = build_validated_engine(model, device, None, cache, frames, progress)
        finally:
            progress.end()
        if problem := entry.parity.problem():
            raise ParityError(f'{model.path}: its engine on {device} fails the parity check, so '
                              f'that the node will refuse it: {problem}')
        return f'{device}: {entry.parity}\n{entry.folder}'

    return first_that_succeeds(arguments.device, build_on)


def clear(arguments: argparse.Namespace, cache: EngineCache) -> str:
    """Remove engines; return the line for the terminal."""
    file = arguments.model
    if arguments.all:
        folders = cache.folders()
    else:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ''
        folders = [entry.folder for entry in cache.entries()
                   if entry.key.model == file.stem or entry.key.model_sha256 == sha256]
    for folder in folders:
        cache.remove(folder)
    return f'{cache.folder}: {len(folders)} removed'


def main() -> int:
    """Run the command line; return its exit code."""
    arguments = arguments_parser().parse_args()
    logging.basicConfig(format='%(message)s')
    try:
        cache = EngineCache(arguments.cache)
        if arguments.command == 'build':
            print(build(arguments, cache))
        elif arguments.command == 'list':
            print(to_text(cache.entries(), cache.folder))
        else:
            print(clear(arguments, cache))
    except (ValueError, OSError, CacheError) as error:
        print(f'segret_engine: {error}', file=sys.stderr)
        return REFUSED if isinstance(error, ParityError) else FAILED
    return 0


def to_text(entries: Sequence[Entry], folder: Path) -> str:
    """Return a table of engines; `folder` is that of their cache."""
    if not entries:
        return f'{folder}: no engine is cached there'
    number = f'{len(entries)} engine{"" if len(entries) == 1 else "s"}'
    size = _size(sum(entry.size_bytes for entry in entries))
    return f'{text_table(map(_row, entries), TITLES)}\n\n{folder}: {number}, {size}'


def _row(entry: Entry) -> tuple[str, ...]:
    key, parity = entry.key, entry.parity
    known = [iou for iou in parity.class_iou if iou is not None]
    streams = f', {key.streams} streams' if key.streams else ''
    return (f'{key.model} {key.model_sha256[:8]}', f'{key.device}{streams}', parity.precision,
            f'{parity.share_equal:.3%}', f'{min(known):.2%}' if known else '-',
            _size(entry.size_bytes),
            time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.built_at)),
            f'{entry.built_s:.1f} s', usable(entry))


def usable(entry: Entry) -> str:
    """Return `yes`, or why the engine can't be used on this machine."""
    problem = entry.parity.problem()
    reasons = '; '.join(filter(None, (problem and f'refused: {problem}', entry.key.foreign())))
    return f'no, {reasons}' if reasons else 'yes'


def _size(count: float) -> str:
    for unit in ('B', 'kB', 'MB'):
        if count < 1000:
            return f'{count:.0f} {unit}'
        count /= 1000
    return f'{count:.1f} GB'


if __name__ == '__main__':
    sys.exit(main())
