# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_bench`."""

import argparse
import json
from pathlib import Path
import sys

from segret_ros.command_line import FAILED, Parser
from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_file import BENCH_MARK, claim_file, PICTURE_MARK
from segret_ros.files.share import default_model
from segret_ros.inference import DEVICES
from segret_ros.inference.engines.devices import devices_of_auto, list_devices
from segret_ros.offline import bench_devices as devices

RUNS = 50


def arguments_parser() -> Parser:
    """Give the parser of the command line."""
    parser = Parser(
        prog='segret_bench',
        description='Measure how fast a model file labels camera images on this machine, stage by '
                    'stage; or two models, or two devices, in turns on the same frames. Frames '
                    "are the sample drive's, at the camera's size.")
    parser.add_argument('model', type=Path, nargs='?', default=default_model(),
                        metavar='MODEL.onnx', help='model file (default: the shipped one)')
    parser.add_argument('--device', nargs='?', default='auto',
                        help=f'{DEVICES} (default: auto); without a value: list what this machine '
                             'can use, and what the rest lacks')
    parser.add_argument('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help="of the camera's images (default: the model's input size)")
    parser.add_argument('--runs', type=int, default=RUNS, help=f'to measure (default: {RUNS})')
    parser.add_argument('--against', type=Path, metavar='OTHER.onnx',
                        help='second model file, to run in turns with the first (default, with '
                             '--against-device: the same file)')
    parser.add_argument('--against-device', metavar='DEVICE',
                        help='of the second (default: that of --device)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all numbers here')
    parser.add_argument('--plot', type=Path, metavar='FILE.svg', help='write a bar chart here')
    return parser


def candidates(arguments: argparse.Namespace) -> list[tuple[Path, str]]:
    """Give the one or two models to measure, each with its device."""
    first = (arguments.model, arguments.device)
    if arguments.against is None and arguments.against_device is None:
        return [first]
    return [first, (arguments.against or arguments.model,
                    arguments.against_device or arguments.device)]


def measure(arguments: argparse.Namespace) -> str:
    """
    Give the measurement as text, and write the files that are asked for.

    :raises ValueError: for arguments that can't be.
    """
    # Only here: devices are listed without the packages that reading a drive takes.
    from segret_ros.offline.bench_chart import chart
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
    outputs = {arguments.json: lambda: json.dumps(to_json(bench), indent=2) + '\n',
               arguments.plot: lambda: chart(bench)}
    for path, content in outputs.items():
        if path:
            with atomic_path(path) as partial:
                partial.write_text(content(), encoding='utf-8')
    return to_text(bench)


def main() -> int:
    """Run the command line; give its exit code."""
    arguments = arguments_parser().parse_args()
    if arguments.device is None:
        print(devices.to_text(list_devices(), devices_of_auto()))
        return 0
    try:
        text = measure(arguments)
    except (ValueError, OSError) as error:
        print(f'segret_bench: {error}', file=sys.stderr)
        return FAILED
    sys.stdout.reconfigure(errors='replace')  # for terminals without block characters
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
