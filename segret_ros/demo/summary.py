"""The demo's numbers."""

from dataclasses import dataclass

import numpy as np
from segret_ros.metrics import ConfusionMatrix
from segret_ros.replay.player import Player, rate_hz


@dataclass(frozen=True)
class Summary:
    """
    The demo's numbers, of all cameras together.

    :param start_s: from the node's start to the first label.
    :param memory_mb: peak of the node's process.
    :param confusion: of the node's labels against the drive's, empty where it has none.
    """

    frames_in: int
    frames_out: int
    dropped: int
    latency_median_ms: float
    latency_p99_ms: float
    rate_hz: float
    start_s: float
    memory_mb: float
    confusion: ConfusionMatrix

    def rows(self) -> dict[str, str]:
        """Give the table that the terminal and the report show."""
        rows = {
            'frames in / out / dropped': f'{self.frames_in} / {self.frames_out} / {self.dropped}',
            'frames per second': f'{self.rate_hz:.1f}',
            'latency, camera to label': f'median {self.latency_median_ms:.0f} ms, '
                                        f'p99 {self.latency_p99_ms:.0f} ms',
            'start to first label': f'{self.start_s:.1f} s',
            'memory of the node': f'{self.memory_mb:.0f} MB',
        }
        if self.confusion.counts.any():
            rows |= {"mean IoU against the drive's labels": f'{self.confusion.mean_iou():.1%}',
                     'pixel accuracy': f'{self.confusion.pixel_accuracy():.1%}'}
        return rows


def summarise(player: Player, memory_mb: float, confusion: ConfusionMatrix) -> Summary:
    """Give the numbers of a drive that was played."""
    answers = [answer for log in player.logs.values() for answer in log.answers]
    latencies = [answer.latency_ms for answer in answers] or [float('nan')]
    frames = sum(log.frames for log in player.logs.values())
    first_s = min((answer.arrived_s for answer in answers), default=float('nan'))
    return Summary(
        frames_in=frames, frames_out=len(answers), dropped=frames - len(answers),
        latency_median_ms=float(np.median(latencies)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        rate_hz=rate_hz(player.logs.values()), start_s=first_s - player.started_s,
        memory_mb=memory_mb, confusion=confusion)
