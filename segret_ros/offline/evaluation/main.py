# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_evaluate`."""

import argparse
from collections.abc import Iterable
from pathlib import Path
import sys

from segret_ros.command_line import FAILED, INTERRUPTED, Parser, REFUSED
from segret_ros.errors import INSTALL_ROS
from segret_ros.files.output_file import claim_file, PAGE_MARK
from segret_ros.files.share import default_model
from segret_ros.inference import DEVICES
from segret_ros.offline.evaluation.comparison import below_limit, broken_limits, compare
from segret_ros.offline.evaluation.comparison_page import write_comparison
from segret_ros.offline.evaluation.fleet import evaluate_on_ray
from segret_ros.offline.evaluation.frames import Frame, Job, Options, Span
from segret_ros.offline.evaluation.notes import failures_of, notes
from segret_ros.offline.evaluation.output import EvaluationError, Json, NODE_LOG
from segret_ros.offline.evaluation.run import check_selectable, evaluate_here, publish, Run
from segret_ros.text_table import text_table
from tqdm import tqdm

OUTPUT = Path('out/evaluation')
EPILOG = """examples:
  segret_evaluate drive_1 drive_2.mcap --output out/drives
  segret_evaluate drive --labels /camera/label/compressed --select 50
  segret_evaluate drive --realtime
  segret_evaluate --compare out/old out/new --no-worse-than 1"""
BAR = '{percentage:3.0f}%|{bar}| {n:.1f} of {total:.1f} s of drive [{elapsed}, left {remaining}]'


def arguments_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog='segret_evaluate', formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Label recorded drives and measure how good, how steady and how certain the '
                    'labels are; or compare two such evaluations.', epilog=EPILOG)
    add = parser.add_argument
    add('bags', type=Path, nargs='*', metavar='BAG',
        help='rosbag2 folder, .mcap, .db3, or .bag of ROS 1; damaged ones as far as possible')
    add('--output', type=Path, metavar='FOLDER', help='of the results (default: out/evaluation); '
        'with --compare a page, such as compare.html (default: none)')
    add('--model', type=Path, default=default_model(),
        help='model file (default: the shipped one)')
    add('--device', default='auto', help=f'{DEVICES} (default: auto)')
    add('--topics', nargs='+', default=[], metavar='TOPIC',
        help='of the cameras (default: all images of the bag that are no labels or depth)')
    add('--labels', metavar='TOPIC|FOLDER', help='true labels: a topic of the bag, or a folder of '
        'PNG files named by the stamps of their frames in ns')
    add('--start', type=float, metavar='SECONDS', help='after the start of the bag')
    add('--stop', type=float, metavar='SECONDS', help='after the start of the bag')
    add('--every', type=int, default=1, metavar='N', help='take the first of every N frames')
    add('--min-confidence', type=float, default=0.0, metavar='PROBABILITY',
        help='pixels below it become unknown, as with the parameter of the node')
    add('--select', type=int, default=0, metavar='N',
        help='write the N frames that are most worth labelling, with labels to correct')
    add('--realtime', action='store_true', help='also play the bag to the real node at the '
        'recorded times, and measure latency, drops and streaming mIoU')
    add('--resume', action='store_true', help='resume an interrupted evaluation')
    add('--ray', nargs='?', const='', metavar='ADDRESS',
        help='distribute the bags over a Ray cluster (default: the cores of this machine)')
    limits = parser.add_argument_group('comparison and limits', 'Exit code 2: a limit is broken.')
    add = limits.add_argument
    add('--compare', type=Path, nargs=2, metavar=('A', 'B'),
        help='output folders of two evaluations of the same bags')
    add('--fail-under', type=float, metavar='PERCENT', help='least mean IoU of B, or of the bags')
    add('--no-worse-than', type=float, metavar='POINTS',
        help='most that the mean IoU and the IoU of any class may drop from A to B')
    return parser


def options_of(arguments: argparse.Namespace) -> Options:
    """
    Return the options of the command line that concern each bag.

    :raises EvaluationError: for a value out of its range.
    """
    if arguments.every < 1:
        raise EvaluationError(f'--every is {arguments.every}: it must be 1 or more')
    if arguments.select < 0:
        raise EvaluationError(f'--select is {arguments.select}: it must be 0 or more')
    for name in ('start', 'stop'):
        value = getattr(arguments, name)
        if value is not None and not 0 <= value < float('inf'):
            raise EvaluationError(f'--{name} is {value:g}: give seconds after the bag starts')
    start, stop = arguments.start, arguments.stop
    if None not in (start, stop) and start >= stop:
        raise EvaluationError(f'--start {start:g} is not before --stop {stop:g}')
    return Options(arguments.model, arguments.device, tuple(arguments.topics), arguments.labels,
                   Span(start, stop, arguments.every), arguments.min_confidence)


class Progress:
    """A bar with the time left; use it in a `with` block, and call it after each frame."""

    def __init__(self, run: Run) -> None:
        self._spans = {job.name: job.limits_ns for job in run.open_jobs()}
        self._passed_ns = dict.fromkeys(self._spans, 0)
        self._bar: tqdm | None = None  # until there is something to show

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, job: Job, frame: Frame) -> None:
        """Advance to a frame."""
        self._pass_to(job, frame.time_ns)

    def finish(self, job: Job) -> None:
        """Advance to the end of a bag."""
        self._pass_to(job, self._spans[job.name][1])

    def _pass_to(self, job: Job, time_ns: int) -> None:
        start, stop = self._spans[job.name]
        self._passed_ns[job.name] = max(self._passed_ns[job.name], min(time_ns, stop) - start)
        if self._bar is None:
            total_s = sum(stop - start for start, stop in self._spans.values()) / 1e9
            self._bar = tqdm(total=total_s or None, unit=' s of drive',
                             bar_format=BAR if total_s else None)
        self._bar.update(sum(self._passed_ns.values()) / 1e9 - self._bar.n)


def evaluate(arguments: argparse.Namespace) -> int:
    """
    Evaluate the bags of a command line; return the exit code.

    :raises ValueError: for a model, an option or a folder that can't be used.
    """
    if arguments.realtime and len(arguments.bags) > 1:
        raise EvaluationError('--realtime plays one bag: name one')
    run = Run(options_of(arguments), arguments.bags, arguments.output or OUTPUT)
    if arguments.select:
        check_selectable(run.output)
    run.prepare(arguments.resume)
    run.survey()
    engine = {}
    if len(run.errors) < len(run.jobs):
        with Progress(run) as progress:
            engine = evaluate_here(run, progress) if arguments.ray is None else \
                evaluate_on_ray(run, arguments.ray, progress.finish)
    print_errors(error if name in error else f'{name}: {error}'
                 for name, error in run.errors.items())
    if len(run.errors) == len(run.jobs):
        return FAILED
    metrics = run.metrics(engine)
    realtime = as_driven(run) if arguments.realtime else None
    publish(run, metrics, realtime, arguments.select)
    print(text_of(metrics, realtime))
    print(f'\n{run.output}/report.html shows it')
    failed = print_errors(failures_of(metrics)) or run.errors
    limit = arguments.fail_under
    if limit is not None and print_errors(below_limit(metrics, limit)):
        return REFUSED
    return FAILED if failed else 0


def print_errors(sentences: Iterable[str]) -> int:
    """Write sentences to stderr, one per line; return how many there are."""
    count = 0
    for count, sentence in enumerate(sentences, 1):
        print(f'segret_evaluate: {sentence}', file=sys.stderr)
    return count


def as_driven(run: Run) -> Json:
    """Play the bag of a run to the real node; return the content of realtime.json."""
    try:
        from segret_ros.offline.evaluation.realtime import replay_realtime
    except ModuleNotFoundError as error:
        raise EvaluationError(f'{error}: --realtime runs the node; {INSTALL_ROS}') from error
    with tqdm(desc='as driven', unit='frame') as bar:
        return replay_realtime(run.jobs[0], run.output / NODE_LOG, bar.update)


def text_of(metrics: Json, realtime: Json | None) -> str:
    """Return the summary for the terminal."""
    found = metrics['all']
    rows = {'frames': f'{found["frames"]:,}',
            'problem frames': f'{sum(found["problems"].values()):,}',
            'confidence, mean': percent(found['mean_confidence'])}
    if found['stability']:
        rows |= {'stability': percent(found['stability']['pixel_consistency']),
                 'flicker': percent(found['stability']['flicker'])}
    if found['scores']:
        rows |= {'frames with true labels': f'{found["scores"]["matched"]:,}',
                 'mean IoU': percent(found['scores']['mean_iou']),
                 'pixel accuracy': percent(found['scores']['pixel_accuracy'])}
    if realtime:
        rows |= {'as driven, dropped': f'{realtime["dropped"]:,} of {realtime["frames"]:,}',
                 'as driven, latency, median': ms(realtime['latency_ms']['median']),
                 'as driven, latency, p99': ms(realtime['latency_ms']['p99'])}
        if realtime['untimed']:
            rows |= {'as driven, without latency': f'{realtime["untimed"]:,} labels of a stamp '
                                                   'that several waiting images had'}
        if found['scores']:
            rows |= {'as driven, scored':
                     f'{realtime["scored"]:,} of {realtime["answered"]:,} labels',
                     'as driven, streaming mean IoU': percent(realtime['streaming_miou'])}
    damage = sum(len(bag['damage']) for bag in metrics['bags'])
    rows |= {'damaged places': f'{damage:,}'} if damage else {}
    return '\n\n'.join([text_table(rows.items()), *notes(metrics)])


def percent(share: float | None) -> str:
    """Format a share 0..1 in percent."""
    return 'unknown' if share is None else f'{share:.2%}'


def ms(time: float | None) -> str:
    """Format a time in milliseconds."""
    return 'unknown' if time is None else f'{time:.0f} ms'


def compare_folders(arguments: argparse.Namespace) -> int:
    """
    Compare the evaluations of a command line; return the exit code.

    :raises ValueError: for folders that can't be compared.
    """
    claim_file(arguments.output, [], PAGE_MARK)
    comparison = compare(*arguments.compare)
    print(comparison.table())
    if arguments.output is not None:
        write_comparison(comparison, arguments.output)
        print(f'\n{arguments.output} shows it')
    broken = broken_limits(comparison, arguments.fail_under, arguments.no_worse_than)
    return REFUSED if print_errors(broken) else 0


def main() -> int:
    """Run the command line; return its exit code."""
    parser = arguments_parser()
    arguments = parser.parse_args()
    if bool(arguments.bags) == bool(arguments.compare):
        parser.error('name bags, or two evaluations with --compare')
    if arguments.bags and arguments.no_worse_than is not None:
        parser.error('--no-worse-than needs --compare')
    try:
        return compare_folders(arguments) if arguments.compare else evaluate(arguments)
    except (ValueError, OSError, RuntimeError) as error:
        print_errors([str(error)])
        return FAILED
    except KeyboardInterrupt:
        print_errors(['interrupted; run the same command with --resume to continue'])
        return INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
