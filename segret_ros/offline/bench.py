# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_bench`."""

import argparse
import json
from pathlib import Path
import sys

from segret_ros.command_line import FAILED, Parser
from segret_ros.files.atomic import write_text
from segret_ros.files.output_file import BENCH_MARK, claim_file, PICTURE_MARK
from segret_ros.files.share import default_model
from segret_ros.inference import DEVICES
from segret_ros.inference.engines.devices import (
    Device,
    devices_of_auto,
    list_devices,
    WHY_AUTO,
)
from segret_ros.text_table import text_table

RUNS = 50


def arguments_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog='segret_bench',
        description='Measure how fast a model file labels camera images on this machine, stage by '
                    'stage; or two models, or two devices, in turns on the same frames. Frames '
                    "are the sample drive's, at the camera's size.")
    parser.add_argument('model', type=Path, nargs='?', default=default_model(),
                        metavar='MODEL.onnx', help='model file (default: the shipped one)')
    parser.add_argument('--device', nargs='?', default='auto',
                        help=f'{DEVICES} (default: auto); without a value: list what this machine '
                             'can use, and what the others lack')
    parser.add_argument('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help="size of the camera images (default: the model's input size)")
    parser.add_argument('--runs', type=int, default=RUNS,
                        help=f'number of runs to measure (default: {RUNS})')
    parser.add_argument('--against', type=Path, metavar='OTHER.onnx',
                        help='second model file, run in turns with the first (default, with '
                             '--against-device: the same file)')
    parser.add_argument('--against-device', metavar='DEVICE',
                        help='device of the second model (default: that of --device)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all numbers here')
    parser.add_argument('--plot', type=Path, metavar='FILE.svg', help='write a bar chart here')
    return parser


def candidates(arguments: argparse.Namespace) -> list[tuple[Path, str]]:
    """Return the one or two models to measure, each with its device."""
    first = (arguments.model, arguments.device)
    if arguments.against is None and arguments.against_device is None:
        return [first]
    return [first, (arguments.against or arguments.model,
                    arguments.against_device or arguments.device)]


def measure(arguments: argparse.Namespace) -> str:
    """
    Measure; return the results as text and write the files that are asked for.

    :raises ValueError: for arguments out of range, and models or devices that can't be used.
    """
    # Imported here: listing devices needs none of it, and matplotlib would add to the memory.
    from segret_ros.offline.bench_measure import benchmark
    from segret_ros.offline.bench_report import to_json, to_text
    from tqdm import tqdm
    if arguments.plot and arguments.plot.suffix != '.svg':
        raise ValueError(f'--plot is {arguments.plot}: the chart is an SVG, name it FILE.svg')
    models = arguments.model, arguments.against
    claim_file(arguments.json, models, BENCH_MARK)
    claim_file(arguments.plot, models, PICTURE_MARK)
    size = tuple(arguments.size) if arguments.size else None
    bench = benchmark(candidates(arguments), size, arguments.runs,
                      lambda runs: tqdm(runs, 'measure', unit='run'))
    if arguments.json:
        write_text(arguments.json, json.dumps(to_json(bench), indent=2) + '\n')
    if arguments.plot:
        from segret_ros.offline.bench_chart import chart
        write_text(arguments.plot, chart(bench))
    return to_text(bench)


def device_table(devices: list[Device], of_auto: list[str]) -> str:
    """
    Return a table of the devices, with what would make the others usable.

    :param of_auto: the devices that `auto` may take, the best first.
    """
    rows = [(device.name, device.engine or '-', 'no' if device.lacks else 'yes')
            for device in devices]
    head, *lines = text_table(rows, ['device', 'engine', 'usable']).splitlines()
    found = [head]
    for line, device in zip(lines, devices):
        found.append(line)
        for lack in device.lacks:
            found += [f'          - {lack.what}', f'            {lack.remedy}']
    usable = [device.name for device in devices if not device.lacks]
    taken = next(name for name in of_auto if name in usable)
    return '\n'.join([*found, '', f'auto takes {taken}: {WHY_AUTO[taken]}'])


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = arguments_parser().parse_args()
    if arguments.device is None:
        print(device_table(list_devices(), devices_of_auto()))
        return 0
    try:
        text = measure(arguments)
    except (ValueError, OSError) as error:
        print(f'segret_bench: {error}', file=sys.stderr)
        return FAILED
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
