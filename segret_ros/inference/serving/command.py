# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_engine`."""

import argparse
import logging
from pathlib import Path
import sys
import time

from segret_ros.command_line import FAILED, Parser, REFUSED
from segret_ros.inference import DeviceError, DEVICES, ModelError, read_model_info
from segret_ros.inference.engines.devices import devices_of_auto
from segret_ros.inference.serving.cache import CacheError, EngineCache, Entry
from segret_ros.inference.serving.key import sha256_of
from segret_ros.inference.serving.parity_frames import ParityFrame
from segret_ros.inference.serving.proven import build_proven_engine, UnprovenEngineError
from segret_ros.inference.serving.table import to_text
from segret_ros.inference.serving.validation_frames import frames_of_folder


def arguments_parser() -> Parser:
    """Give the parser of the command line."""
    parser = Parser(
        prog='segret_engine',
        description='Engines that are built for a device before they are used: build them ahead, '
                    'list them, remove them. The node builds what is missing by itself.')
    commands = parser.add_subparsers(dest='command', required=True)
    build = commands.add_parser(
        'build', help='build an engine ahead, as for a container image',
        description="Build a model file's engine anew, compare its labels with those of the "
                    'float32 network, and keep it with the result. Exit code 2 says that it '
                    'failed the comparison.')
    build.add_argument('model', type=Path, metavar='MODEL.onnx', help='model file')
    build.add_argument('--device', default='auto',
                       help=f'{DEVICES} (default: auto, the best that works here)')
    build.add_argument('--frames', type=Path, metavar='FOLDER',
                       help="images to compare on (default: the model file's own)")
    listing = commands.add_parser('list', help='list the engines that are kept')
    clear = commands.add_parser('clear', help='remove engines that are kept')
    which = clear.add_mutually_exclusive_group(required=True)
    which.add_argument('model', type=Path, nargs='?', metavar='MODEL.onnx',
                       help='those of this model file, by its name or its content')
    which.add_argument('--all', action='store_true', help='all of them')
    for command in (build, listing, clear):
        command.add_argument('--cache', type=Path, metavar='FOLDER',
                             help='where engines are kept (default: $SEGRET_ENGINE_CACHE, else '
                                  '~/.cache/segret_ros/engines)')
    return parser


class Progress:
    """Tells on the terminal what goes on, and how long it took."""

    def __init__(self) -> None:
        self._start = None

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
    Build an engine; give the lines for the terminal.

    :raises UnprovenEngineError: for an engine that fails the comparison; it is kept all the same.
    :raises ValueError, CacheError: for what can't be built or kept.
    """
    model, folder = arguments.model, arguments.frames
    info = read_model_info(model)
    frames = frames_of_folder(folder, model, info) if folder else None
    *others, last = devices_of_auto() if arguments.device == 'auto' else [arguments.device]
    for device in others:
        try:
            return build_on(device, model, frames, cache)
        except (DeviceError, ModelError) as error:
            print(f'{error}; going on with the next device', file=sys.stderr)
    return build_on(last, model, frames, cache)


def build_on(device: str, model: Path, frames: list[ParityFrame] | None, cache: EngineCache
             ) -> str:
    """Build an engine on a device other than `auto`; see `build`."""
    progress = Progress()
    try:
        entry = build_proven_engine(model, device, None, cache, frames, progress)
    finally:
        progress.end()
    problem = entry.parity.problem()
    if problem:
        raise UnprovenEngineError(f'{model}: its engine on {device} fails the comparison, so that '
                                  f'the node will refuse it: {problem}')
    return f'{device}: {entry.parity}\n{entry.folder}'


def clear(arguments: argparse.Namespace, cache: EngineCache) -> str:
    """Remove engines; give the line for the terminal."""
    if arguments.all:
        return f'{cache.folder}: {cache.remove_all()} removed'
    entries = [entry for entry in cache.entries() if is_of(entry, arguments.model)]
    for entry in entries:
        cache.remove(entry.folder)
    return f'{cache.folder}: {len(entries)} removed'


def is_of(entry: Entry, model: Path) -> bool:
    """Tell whether an engine is of a model file, by its name or its content."""
    return entry.key.model == model.stem or (
        model.is_file() and entry.key.model_sha256 == sha256_of(model))


def main() -> int:
    """Run the command line; give its exit code."""
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
        return REFUSED if isinstance(error, UnprovenEngineError) else FAILED
    return 0


if __name__ == '__main__':
    sys.exit(main())
