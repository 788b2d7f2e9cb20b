# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All bags of an evaluation, and the folder that is left of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
import hashlib
import json
from pathlib import Path
import shutil
import time

from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_folder import OutputFolder, WORK
from segret_ros.inference import Model, ModelInfo
from segret_ros.offline.bags import BagWriter, open_bag, printable
from segret_ros.offline.bags.cameras import bag_cameras
from segret_ros.offline.evaluation.errors import EvaluationError
from segret_ros.offline.evaluation.evaluate import Evaluator, Job, Options
from segret_ros.offline.evaluation.faults import counts, REJECTED, UNSCORED
from segret_ros.offline.evaluation.files import FORMAT, JOBS, LAYOUT, RESULT
from segret_ros.offline.evaluation.frames import Frame
from segret_ros.offline.evaluation.matching import TOLERANCE_NS
from segret_ros.offline.evaluation.parts import Parts
from segret_ros.offline.evaluation.rows import head
from segret_ros.offline.evaluation.tally import Tally


class Run:
    """
    An evaluation of some bags with one model.

    :param options: of all bags.
    :param bags: their paths.
    :param output: folder to fill.
    :raises EvaluationError: for bags of which two are one.
    """

    def __init__(self, options: Options, bags: Sequence[Path], output: Path) -> None:
        self.options = options
        self.output = output
        self.info: ModelInfo = Model.load(options.model).info
        self.jobs = [Job(name, bag, output / WORK / f'{number:04d}')
                     for number, (name, bag) in enumerate(zip(bag_names(bags), bags))]
        self.errors: dict[str, str] = {}  # of bags that could not be evaluated, by name
        self.seconds = 0.0  # from `prepare` to `metrics`
        self._begun = 0.0

    def prepare(self, resume: bool) -> None:
        """
        Claim the output folder, `folder` from now on.

        :param resume: go on with what an interrupted run of the same bags and options left.
        :raises EvaluationError: when there is nothing to go on with.
        :raises OutputError: for a folder that is not an evaluation's to fill.
        """
        self._begun = time.monotonic()
        work, told = self.output / WORK, json.dumps(self._identity(), indent=1)
        if resume:
            self._check_resumable(work / JOBS, told)
        inputs = [*(job.bag for job in self.jobs), self.options.model]
        if self.options.labels is not None:
            inputs.append(Path(self.options.labels))
        self.folder = OutputFolder(LAYOUT, self.output, inputs, resume)
        with atomic_path(work / JOBS) as partial:
            partial.write_text(told)

    def _check_resumable(self, path: Path, told: str) -> None:
        if not path.is_file():
            raise EvaluationError(f'{self.output}: holds no interrupted evaluation; leave out '
                                  '--resume to begin one')
        if path.read_text() != told:
            raise EvaluationError(f'{self.output}: the interrupted evaluation is of other bags, '
                                  'another model or other options; give the same ones, or leave '
                                  'out --resume to begin anew')

    def _identity(self) -> dict:
        options = asdict(self.options)
        options['model'] = hashlib.sha256(self.options.model.read_bytes()).hexdigest()
        return {'options': options, 'bags': [[job.name, _size(job.bag)] for job in self.jobs]}

    def survey(self) -> None:
        """Note the bags that can't be evaluated, before a model is loaded for them."""
        for job in self.jobs:
            try:
                with open_bag(job.bag) as bag:
                    bag_cameras(bag, list(self.options.topics))
            except (ValueError, OSError) as error:
                self.errors[job.name] = str(error)

    def open_jobs(self) -> list[Job]:
        """Return the bags that nothing is known to be wrong with."""
        return [job for job in self.jobs if job.name not in self.errors]

    def parts(self) -> Iterator[tuple[Job, Parts]]:
        """Give the finished bags."""
        for job in self.jobs:
            parts = Parts(job.folder, len(self.info.labels))
            if parts.told() is not None:
                yield job, parts

    def metrics(self, engine: dict) -> dict:
        """
        Give what metrics.json holds: the same for the same bags, however they were shared.

        :param engine: what `Evaluator.told` gives.
        """
        self.seconds = time.monotonic() - self._begun
        cameras, labels = self._cameras()
        names = self.info.labels.names
        everything = Tally(len(names))
        for tally in cameras.values():
            everything.merge(tally)
        span = self.options.span
        known = None if self.options.labels is None else labels
        bags = [self._bag(job) for job in self.jobs]
        faults = [fault for bag in bags for fault in bag['faults']]
        return {
            'format': FORMAT,
            'model': {'name': self.options.model.stem, 'variant': self.info.variant,
                      'classes': list(names), 'colors': [list(c) for c in self.info.labels.colors],
                      **engine},
            'options': {'every': span.every, 'start': span.start_s, 'stop': span.stop_s,
                        'min_confidence': self.options.min_confidence},
            'bags': bags,
            'all': _summary(everything, names, None if known is None else sum(known.values()),
                            faults),
            'cameras': {topic: _summary(tally, names, None if known is None else known[topic],
                                        faults, topic)
                        for topic, tally in sorted(cameras.items())}}

    def _cameras(self) -> tuple[dict[str, Tally], dict[str, int]]:
        tallies: dict[str, Tally] = {}
        labels: dict[str, int] = {}
        for _, parts in self.parts():
            for topic, tally in parts.tallies().items():
                tallies.setdefault(topic, Tally(len(self.info.labels))).merge(tally)
            for topic, count in parts.told().get('labels', {}).items():
                labels[topic] = labels.get(topic, 0) + count
        return tallies, labels

    def _bag(self, job: Job) -> dict:
        if job.name in self.errors:
            return {'name': job.name, 'frames': 0, 'damage': [], 'label_topics': {}, 'faults': [],
                    'error': self.errors[job.name]}
        parts = Parts(job.folder, len(self.info.labels))
        told = {name: value for name, value in parts.told().items() if name != 'labels'}
        return {'name': job.name, 'frames': parts.frames(), 'faults': parts.faults().as_json(),
                **told}

    def write_frames(self, path: Path) -> None:
        """Write frames.csv."""
        with open(path, 'w', encoding='utf-8') as file:
            file.write(head(self.info.labels.names))
            for _, parts in self.parts():
                file.writelines(parts.rows())

    def write_result(self, path: Path) -> None:
        """Write result.mcap."""
        folder = path.with_suffix('')
        with BagWriter(folder) as writer:
            for _, parts in self.parts():
                for recorded in parts.results():
                    writer.write(recorded)
        (folder / RESULT).replace(path)
        shutil.rmtree(folder)


def _summary(tally: Tally, names: Sequence[str], labels: int | None, faults: Sequence[dict],
             camera: str | None = None) -> dict:
    return tally.as_json(names, labels, TOLERANCE_NS / 1e6, counts(faults, REJECTED, camera),
                         counts(faults, UNSCORED, camera))


def _size(bag: Path) -> int:
    files = bag.rglob('*') if bag.is_dir() else [bag]
    return sum(file.stat().st_size for file in files if file.is_file())


def bag_names(bags: Iterable[Path]) -> list[str]:
    """
    Give each bag the shortest end of its path that no other has.

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
                  progress: Callable[[Job, Frame], None] = lambda job, frame: None) -> dict:
    """
    Evaluate the bags of a run one after the other; what is wrong with one is kept in its `errors`.

    :param progress: called after each frame.
    :return: what the evaluator tells of its engine.
    """
    evaluator = Evaluator(run.options)
    for job in run.open_jobs():
        error = evaluator.evaluate_or_tell(job, lambda frame, job=job: progress(job, frame))
        if error:
            run.errors[job.name] = error
    return evaluator.told()
