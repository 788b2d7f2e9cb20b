# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How far an evaluation is, in seconds of the drives."""

from segret_ros.offline.bags import open_bag
from segret_ros.offline.evaluation.frames import Frame
from segret_ros.offline.evaluation.run import Job, Run
from tqdm import tqdm

BAR = '{percentage:3.0f}%|{bar}| {n:.1f} of {total:.1f} s of drive [{elapsed}, left {remaining}]'


class Progress:
    """
    A bar with the time left; use it in a `with` block, and call it after each frame.

    :param run: whose bags are evaluated.
    """

    def __init__(self, run: Run) -> None:
        self._spans = {job.name: self._span(job, run) for job in run.open_jobs()}
        self._total_ns = sum(stop - start for start, stop in self._spans.values())
        self._done = {name: start for name, (start, _) in self._spans.items()}
        self._done_ns = 0
        self._bar: tqdm | None = None  # until there is something to show

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *exception) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, job: Job, frame: Frame) -> None:
        """Note a frame."""
        self._pass_to(job, min(frame.time_ns, self._spans[job.name][1]))

    def finish(self, job: Job) -> None:
        """Note the end of a bag."""
        self._pass_to(job, self._spans[job.name][1])

    def _pass_to(self, job: Job, time_ns: int) -> None:
        passed = max(0, time_ns - self._done[job.name])
        self._done[job.name] += passed
        self._done_ns += passed
        total_s = self._total_ns / 1e9
        if self._bar is None:
            self._bar = tqdm(total=total_s or None, unit=' s of drive',
                             bar_format=BAR if total_s else None)
        # Sums of fractions pass the total, and tqdm warns of that.
        self._bar.update(min(self._done_ns / 1e9, total_s) - self._bar.n)

    def _span(self, job: Job, run: Run) -> tuple[int, int]:
        """Give begin and end of what is evaluated of a bag, in ns; the same where not known."""
        try:
            with open_bag(job.bag) as bag:
                start, stop = run.options.span.limits_ns(bag)
                begin, end = bag.start_ns or 0, bag.stop_ns or 0
        except (ValueError, OSError):  # told when its turn comes
            return 0, 0
        start = begin if start is None else min(start, end)
        return start, max(start, end if stop is None else min(stop, end))
