# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All bags of an evaluation, and the folder of its files: whole, and metrics.json the last."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
import hashlib
import json
from pathlib import Path
import shlex
import shutil
import sys
import time

from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_folder import OutputFolder, WORK
from segret_ros.files.share import package_version
from segret_ros.inference import Model, ModelInfo
from segret_ros.offline.bags import BagWriter, printable
from segret_ros.offline.evaluation.evaluate import Evaluator
from segret_ros.offline.evaluation.frames import Frame, Job, Options
from segret_ros.offline.evaluation.output import (
    column_names,
    Columns,
    csv_lines,
    EvaluationError,
    FORMAT,
    FRAMES,
    JOBS,
    join,
    Json,
    LAYOUT,
    METRICS,
    PLACE,
    REALTIME,
    REPORT,
    RESULT,
    RUN,
    SELECT,
)
from segret_ros.offline.evaluation.parts import Parts, VERSION
from segret_ros.offline.evaluation.report import columns_needed, write_report
from segret_ros.offline.evaluation.result import Labelled, read_labelled
from segret_ros.offline.evaluation.selection import named, select, write_selection
from segret_ros.offline.evaluation.tally import Tally
from segret_ros.offline.evaluation.thumbnails import frames_to_show, thumbs
from segret_ros.offline.machine import this_machine


class Run:
    """
    An evaluation of some bags with one model.

    :raises EvaluationError: for bags of which two are one.
    """

    def __init__(self, options: Options, bags: Sequence[Path], output: Path) -> None:
        self.options = options
        self.output = output
        self.info: ModelInfo = Model.load(options.model).info
        self.jobs = [Job(name, bag, output / WORK / f'{number:04d}', options,
                         self.info.labels.names)
                     for number, (name, bag) in enumerate(zip(bag_names(bags), bags))]
        self.errors: dict[str, str] = {}  # of bags that could not be evaluated, by name
        self.seconds = 0.0  # from `prepare` to `metrics`
        self._begun = 0.0

    def prepare(self, resume: bool) -> None:
        """
        Claim the output folder, `folder` from now on.

        :param resume: resume what an interrupted run of the same bags and options left.
        :raises EvaluationError: when there is nothing to resume.
        :raises OutputError: for a folder that is not an evaluation's to fill.
        """
        self._begun = time.monotonic()
        jobs = self.output / WORK / JOBS
        identity = json.dumps(self._identity(), indent=1)
        if resume:
            self._check_resumable(jobs, identity)
        inputs = [*(job.bag for job in self.jobs), self.options.model]
        if self.options.labels is not None:
            inputs.append(Path(self.options.labels))
        self.folder = OutputFolder(LAYOUT, self.output, inputs, resume)
        with atomic_path(jobs) as partial:
            partial.write_text(identity)

    def _check_resumable(self, jobs: Path, identity: str) -> None:
        if not jobs.is_file():
            raise EvaluationError(f'{self.output}: holds no interrupted evaluation; leave out '
                                  '--resume to start one')
        if jobs.read_text() != identity:
            raise EvaluationError(f'{self.output}: the interrupted evaluation is of other bags, '
                                  'another model, other options or another version of segret_ros; '
                                  'give the same ones, or leave out --resume to start over')

    def _identity(self) -> Json:
        options = asdict(self.options)
        options['model'] = hashlib.sha256(self.options.model.read_bytes()).hexdigest()
        return {'parts': VERSION, 'options': options,
                'bags': [[job.name, _size(job.bag)] for job in self.jobs]}

    def survey(self) -> None:
        """Note the bags that can't be evaluated, before a model is loaded for them."""
        for job in self.jobs:
            try:
                job.cameras
            except (ValueError, OSError) as error:
                self.errors[job.name] = str(error)

    def open_jobs(self) -> list[Job]:
        """Return the bags that nothing is known to be wrong with."""
        return [job for job in self.jobs if job.name not in self.errors]

    def parts(self) -> Iterator[tuple[Parts, Json]]:
        """Yield the finished bags, with what was noted at their end."""
        for job in self.jobs:
            parts = Parts(job.folder, job.classes)
            noted = parts.finished()
            if noted is not None:
                yield parts, noted

    def metrics(self, engine: Json) -> Json:
        """Return the content of metrics.json, which depends on the bags and the options alone."""
        self.seconds = time.monotonic() - self._begun
        names, span = self.info.labels.names, self.options.span
        everything = Tally(len(names))
        cameras: dict[str, Tally] = {}
        labels: Counter[str] = Counter()
        for parts, noted in self.parts():
            for topic, tally in parts.tallies().items():
                everything.merge(tally.arrays())
                cameras.setdefault(topic, Tally(len(names))).merge(tally.arrays())
            labels.update(noted.get('labels', {}))
        bags = [self._bag(job) for job in self.jobs]
        faults = [fault for bag in bags for fault in bag['faults']]
        scored = self.options.labels is not None
        return {
            'format': FORMAT,
            'model': {'name': self.options.model.stem, 'variant': self.info.variant,
                      'classes': list(names), 'colors': [list(c) for c in self.info.labels.colors],
                      **engine},
            'options': {'every': span.every, 'start': span.start_s, 'stop': span.stop_s,
                        'min_confidence': self.options.min_confidence},
            'bags': bags,
            'all': everything.as_json(names, sum(labels.values()) if scored else None, faults),
            'cameras': {topic: tally.as_json(names, labels[topic] if scored else None, faults,
                                             topic)
                        for topic, tally in sorted(cameras.items())}}

    def _bag(self, job: Job) -> Json:
        if job.name in self.errors:
            return {'name': job.name, 'frames': 0, 'damage': [], 'label_topics': {}, 'faults': [],
                    'error': self.errors[job.name]}
        parts = Parts(job.folder, job.classes)
        noted = {name: value for name, value in (parts.finished() or {}).items()
                 if name != 'labels'}
        return {'name': job.name, 'frames': parts.frames(), 'faults': parts.faults().as_json(),
                **noted}

    def write_frames(self, path: Path) -> None:
        """Write frames.csv."""
        names = column_names(self.info.labels.names)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(csv_lines(names))
            for parts, _ in self.parts():
                file.writelines(map(csv_lines, parts.columns(names)))

    def columns(self, names: Sequence[str] | None = None) -> Columns:
        """
        Return what frames.csv holds, as `read_columns` does, from the parts.

        :param names: of the columns; None takes all.
        """
        if names is None:
            names = column_names(self.info.labels.names)
        return join((part for parts, _ in self.parts() for part in parts.columns(names)), names)

    def write_result(self, path: Path) -> None:
        """Write result.mcap."""
        folder = path.with_suffix('')
        with BagWriter(folder) as writer:
            for parts, _ in self.parts():
                for recorded in parts.results():
                    writer.write(recorded)
        (folder / RESULT).replace(path)
        shutil.rmtree(folder)

    def labelled(self, columns: Columns, rows: Iterable[int], topics: Mapping[str, Json],
                 scored: bool) -> Iterator[Labelled]:
        """
        Yield some frames with their labels, bag by bag, once result.mcap is made.

        :param topics: of the labels in result.mcap, by bag and camera.
        """
        of_bag: dict[str, list[int]] = {}
        for row in rows:
            of_bag.setdefault(columns['bag'][row], []).append(row)
        for job in self.jobs:
            if job.name in of_bag:
                yield from read_labelled(job.bag, self.folder.made / RESULT, topics[job.name],
                                         job.truth if scored else None, columns, of_bag[job.name])
                self.forget_all_but(job)

    def forget_all_but(self, job: Job) -> None:
        """Drop the true labels of other bags, so that memory does not grow with their number."""
        for other in self.jobs:
            if other is not job:
                vars(other).pop('truth', None)


def _size(bag: Path) -> int:
    files = bag.rglob('*') if bag.is_dir() else [bag]
    return sum(file.stat().st_size for file in files if file.is_file())


def bag_names(bags: Iterable[Path]) -> list[str]:
    """
    Name each bag by the shortest end of its path that no other has.

    :raises EvaluationError: for a bag that is given twice.
    """
    paths = [bag.resolve() for bag in bags]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise EvaluationError(f'{twice}: given twice; name each bag once')
    length = 1
    while len({path.parts[-length:] for path in paths}) < len(paths):
        length += 1
    return [printable('/'.join(path.parts[-length:])) for path in paths]


def evaluate_here(run: Run,
                  progress: Callable[[Job, Frame], None] = lambda job, frame: None) -> Json:
    """
    Evaluate the bags of a run one after the other; what is wrong with one is kept in its `errors`.

    :return: what metrics.json says about the engine.
    """
    evaluator = Evaluator(run.options)
    for job in run.open_jobs():
        run.forget_all_but(job)
        error = evaluator.try_bag(job, partial(progress, job))
        if error:
            run.errors[job.name] = error
    return evaluator.engine_info()


def publish(run: Run, metrics: Json, realtime: Json | None = None, count: int = 0) -> None:
    """
    Write an evaluation's files into its output folder and take its work away.

    :param count: frames to select for labelling.
    """
    made = run.folder.made
    run.write_frames(made / FRAMES)
    run.write_result(made / RESULT)
    how = _how(run, metrics)
    _write_json(made / RUN, how)
    if realtime is not None:
        _write_json(made / REALTIME, realtime)
    topics = {bag['name']: bag['label_topics'] for bag in metrics['bags']}
    columns = run.columns(list(dict.fromkeys([*PLACE, *columns_needed(metrics)])))
    shown = frames_to_show(columns)
    rows = sorted({row for group in shown.values() for row in group})
    frames = run.labelled(columns, rows, topics, scored=True)
    write_report(made / REPORT, metrics, columns, how, realtime,
                 thumbs(shown, frames, columns, run.info.labels))
    if count:
        columns = run.columns()
        frames = run.labelled(columns, select(columns, count), topics, scored=False)
        write_selection(made / SELECT, named(frames, columns), run.info.labels)
    _write_json(made / METRICS, metrics)
    run.folder.publish(last=METRICS)  # without it none counts
    run.folder.discard()


def check_selectable(output: Path) -> None:
    """Raise an EvaluationError where an earlier selection lies, whose labels may be corrected."""
    if (output / SELECT).exists():
        raise EvaluationError(f'{output / SELECT} exists: move it away, its labels may be '
                              'corrected already')


def _write_json(path: Path, content: Json) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n', encoding='utf-8')


def _how(run: Run, metrics: Json) -> Json:
    """Return the content of run.json: how the evaluation was run, and on what."""
    frames = metrics['all']['frames']
    return {'command': shlex.join(['segret_evaluate', *sys.argv[1:]]),
            'segret_ros': package_version(), 'machine': str(this_machine()),
            'ended': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'seconds': round(run.seconds, 1),
            'frames_per_second': round(frames / run.seconds, 2)}
