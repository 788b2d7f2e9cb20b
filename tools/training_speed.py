# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure how fast `segret_train` trains, and compare it with another checkout or an earlier result.

Each case is a run of the command in a process of its own, crops and worker processes included.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import json
import os
from pathlib import Path
from statistics import median
import subprocess
import sys
import tempfile
import time

from segret_ros.offline.machine import memory_mb, this_machine
from segret_ros.text_table import text_table
from segret_train.train import main as segret_train
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
TINY = ('--recipe', 'cityscapes', '--dataset', 'camvid', '--variant', 'tiny')
CASES = {'nano, 8 x 256 x 320': ('--recipe', 'camvid', '--variant', 'nano'),
         'tiny, 2 x 512 x 1024': TINY,
         'tiny, 2 x 512 x 1024, float32': (*TINY, '--precision', 'float32')}
# What devices draw differently is switched off, to compare their losses.
SMALL = ('--recipe', 'camvid', '--variant', 'nano', '--batch-size', '2', '--crop', '[128,160]',
         '--dropout', '0', '--drop-path', '0')
COLUMNS = {'images_per_second': 'images/s', 'first_step_s': 'first step after, s',
           'peak_memory_mb': 'peak memory, MB'}


class MeasurementError(RuntimeError):
    """A run that failed; the message has its last line."""


def run_apart(checkout: Path, arguments: Sequence[str], device: str, steps: int) -> dict:
    """
    Train in a process of its own, with the code of a checkout.

    :param arguments: of `segret_train`, with the data.
    :return: what `train` returns.
    """
    environment = {**os.environ, 'PYTHONPATH': str(checkout)}
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [sys.executable, __file__, '--run', folder, str(time.time()), *arguments, '--device',
             device, '--iterations', str(steps), '--validate-every', str(steps)],
            env=environment, capture_output=True, text=True)
        if ran.returncode != 0:
            lines = ran.stderr.splitlines() or ['it wrote nothing']
            raise MeasurementError(f'segret_train of {checkout} failed: {lines[-1]}')
        return json.loads((Path(folder) / 'measured.json').read_text())


def train(folder: Path, started_s: float, arguments: list[str]) -> int:
    """
    Run `segret_train` in this process, and write what it measured to a file.

    :param started_s: time of day at which the process was started.
    :return: the exit code.
    """
    first: list[float] = []
    register_optimizer_step_post_hook(
        lambda *_: None if first else first.append(time.time() - started_s))
    code = segret_train([*arguments, '--output', str(folder / 'run')])
    if code == 0:
        records = [json.loads(line) for line in (folder / 'run' / 'log.jsonl').open()]
        on_gpu = torch.cuda.is_available() and torch.cuda.max_memory_allocated()
        (folder / 'measured.json').write_text(json.dumps({
            'losses': [record['loss'] for record in records],
            'images_per_second': median(record['images_per_second'] for record in records[-3:]),
            'first_step_s': first[0],
            'peak_memory_mb': on_gpu / 1e6 if on_gpu else memory_mb('VmHWM')}))
    return code


def measure(checkouts: list[Path], data: Path, device: str, steps: int) -> list[dict[str, dict]]:
    """Return the numbers of all cases for each checkout, measured in turns."""
    results: list[dict[str, dict]] = [{} for _ in checkouts]
    for name, arguments in tqdm(CASES.items(), 'measure', unit='case'):
        for checkout, numbers in zip(checkouts, results):
            numbers[name] = run_apart(checkout, (*arguments, '--data', str(data)), device, steps)
    return results


def loss_difference(data: Path, device: str, steps: int) -> float:
    """Return the largest relative difference of a device's losses from the CPU's."""
    first, second = (run_apart(ROOT, (*SMALL, '--data', str(data)), name, steps)['losses']
                     for name in ('cpu', device))
    return max(abs(own - other) / other for own, other in zip(second, first, strict=True))


def tables(results: list[dict[str, dict]]) -> str:
    """Return a table for each kind of number; a second result adds its ratio to the first."""
    names = ['this', 'other', 'other / this'] if len(results) > 1 else ['this']
    texts = []
    for key, title in COLUMNS.items():
        rows = []
        for case in results[0]:
            values = [result[case][key] for result in results if case in result]
            ratio = [f'{values[1] / values[0]:.2f}'] if len(values) > 1 else []
            rows.append([case, *(f'{value:.1f}' for value in values), *ratio])
        texts.append(text_table(rows, [title, *names], ['left', *['right'] * len(names)]))
    return '\n\n'.join(texts)


def device_name(device: str) -> str:
    """Describe what is measured on."""
    if device == 'cpu' or not torch.cuda.is_available():
        return 'CPU'
    return f'{torch.cuda.get_device_name()}, PyTorch {torch.__version__}'


def arguments_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Measure segret_train: images a second, seconds to the first step and '
                    'memory, crops and worker processes included.')
    parser.add_argument('--data', type=Path, required=True, help='folder of CamVid')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'))
    parser.add_argument('--steps', type=int, default=200,
                        help='of each case; only the last 150 count')
    parser.add_argument('--against', type=Path, default=argparse.SUPPRESS, metavar='PATH',
                        help='a second checkout, measured in turns, or the JSON file of an '
                             'earlier measurement')
    parser.add_argument('--losses', action='store_true',
                        help="also compare losses with the CPU's, which takes minutes there")
    parser.add_argument('--json', type=Path, default=argparse.SUPPRESS, metavar='FILE',
                        help='write all numbers here')
    return parser


def main() -> None:
    """Run the command line."""
    arguments = arguments_parser().parse_args()
    against = vars(arguments).get('against')
    checkouts = [ROOT, against] if against and against.is_dir() else [ROOT]
    print(f'{device_name(arguments.device)}; {this_machine()}', file=sys.stderr)
    try:
        results = measure(checkouts, arguments.data, arguments.device, arguments.steps)
        record = {'device': device_name(arguments.device), 'machine': asdict(this_machine()),
                  'steps': arguments.steps, 'cases': results[0]}
        if against and not against.is_dir():
            results.append(json.loads(against.read_text())['cases'])
        if arguments.losses:
            record['loss_difference'] = loss_difference(arguments.data, arguments.device,
                                                        arguments.steps)
    except (MeasurementError, OSError, ValueError, KeyError) as error:
        sys.exit(f'training_speed: {error}')
    print(tables(results))
    if 'loss_difference' in record:
        print(f"\nlargest difference from the CPU's loss: {record['loss_difference']:.2%}")
    if 'json' in arguments:
        arguments.json.write_text(json.dumps(record, indent=2) + '\n')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--run']:
        sys.exit(train(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
    main()
