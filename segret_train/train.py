# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Train SegRet: `segret_train --data CAMVID --output runs/nano`."""

from collections.abc import Sequence
import os
from pathlib import Path
import signal
import sys

from jsonargparse import Namespace
from segret_ros.command_line import FAILED, INTERRUPTED
from segret_train import pretrain
from segret_train.datasets import open_data_set
from segret_train.options import OptionParser
from segret_train.recipe import parse, Recipe
from segret_train.training.report import write_report
from segret_train.training.run import BEST, Run
from segret_train.training.views import STOP_SIGNALS
from segret_train.training.world import World


def make_parser() -> OptionParser:
    """Give the options that are no part of a recipe."""
    parser = OptionParser(
        'segret_train',
        description='Train SegRet by a recipe, of which every value can be given here. Ctrl-C '
                    'stops after the current step and saves; started again with the same '
                    'arguments, it goes on there. For a quick try: --iterations 20 '
                    '--batch-size 2. `segret_train pretrain --help` tells of backbones.')
    parser.add_argument('--data', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--output', type=Path, required=True, help='folder of the run')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'),
                        help='auto is a GPU where there is one')
    parser.add_argument('--workers', type=int, help='processes that make views (default: 1 for a '
                        'CPU, for a GPU its share of the cores, at most 8)')
    return parser


def default_workers(world: World) -> int:
    """Give how many processes make views: a CPU that trains has no core to spare for more."""
    if world.device.type == 'cpu':
        return FAILED
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    return min(max(cores - 1, 1), 8)


def train(recipe: Recipe, options: Namespace, world: World) -> int:
    """Train, or go on; give the command's exit code."""
    stopped = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopped.append(True))
    workers = default_workers(world) if options.workers is None else options.workers
    run = Run(recipe, open_data_set(recipe.dataset, options.data), options.output, world, workers)
    tell = print if world.is_first else lambda _: None
    if run.step:
        tell(f'going on after step {run.step} of {recipe.iterations}')
    best = run.train(lambda: bool(stopped))
    if run.step < recipe.iterations:
        tell(f'\nstopped and saved after step {run.step} of {recipe.iterations}: the same command '
             'goes on there')
        return INTERRUPTED
    tell(f'best val mIoU {best:.4f}: {options.output / BEST}')
    if world.is_first:
        tell(f'report: {write_report(run)}')
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ['pretrain']:
        return pretrain.main(arguments[1:])
    try:
        recipe, options = parse(make_parser(), arguments)
        world = World(options.device)
        code = train(recipe, options, world)
        world.close()
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'segret_train: {error}', file=sys.stderr)
        return FAILED
    return code


if __name__ == '__main__':
    sys.exit(main())
