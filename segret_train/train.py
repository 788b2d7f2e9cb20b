# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Train SegRet: `segret_train --data CAMVID --output runs/nano`."""

from collections.abc import Sequence
from pathlib import Path
import signal
import sys

from segret_ros.command_line import FAILED, INTERRUPTED
from segret_train import pretraining
from segret_train.datasets import open_data_set
from segret_train.options import OptionParser
from segret_train.recipe import parse, Recipe
from segret_train.training.crops import default_workers, STOP_SIGNALS
from segret_train.training.process_group import ProcessGroup
from segret_train.training.training_report import write_report
from segret_train.training.training_run import BEST, TrainingRun


def make_parser() -> OptionParser:
    """Make the parser of the options that are not part of a recipe."""
    parser = OptionParser(
        'segret_train',
        description='Train SegRet by a recipe; each of its values can be overridden here. Ctrl-C '
                    'stops after the current step and saves; the same command resumes. For a '
                    'quick try: --iterations 20 --batch-size 2. To pretrain a backbone: '
                    'segret_train pretrain --help.')
    parser.add_argument('--data', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--output', type=Path, required=True, help='folder of the run')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'),
                        help='auto takes a GPU if there is one')
    parser.add_argument('--workers', type=int, help='processes that load crops (default: 1 on a '
                        'CPU; with a GPU its share of the cores, at most 8)')
    return parser


def train(recipe: Recipe, data: Path, output: Path, workers: int | None,
          group: ProcessGroup) -> int:
    """Train, or resume, and return the command's exit code."""
    stopped = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopped.append(True))
    run = TrainingRun(recipe, open_data_set(recipe.dataset, data, recipe.hold_out), output, group,
                      default_workers(group) if workers is None else workers)
    log = print if group.is_first else lambda _: None
    if run.step:
        log(f'resuming after step {run.step} of {recipe.iterations}')
    best = run.train(lambda: bool(stopped))
    if run.step < recipe.iterations:
        log(f'\nstopped and saved after step {run.step} of {recipe.iterations}: the same command '
            'resumes')
        return INTERRUPTED
    log(f'best val mIoU {best:.4f}: {output / BEST}')
    if group.is_first:
        log(f'report: {write_report(run)}')
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ['pretrain']:
        return pretraining.main(arguments[1:])
    try:
        recipe, options = parse(make_parser(), arguments)
        group = ProcessGroup(options['device'])
        code = train(recipe, options['data'], options['output'], options['workers'], group)
        group.close()
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'segret_train: {error}', file=sys.stderr)
        return FAILED
    return code


if __name__ == '__main__':
    sys.exit(main())
