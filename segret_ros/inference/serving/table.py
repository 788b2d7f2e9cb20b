# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The cached engines as text for a terminal."""

from collections.abc import Sequence
import time

from segret_ros.inference.serving.cache import Entry

TITLES = ('model', 'device', 'precision', 'labels equal', 'worst class', 'size', 'built', 'took',
          'usable here')


def to_text(entries: Sequence[Entry], folder: str) -> str:
    """Return a table of engines; `folder` is that of their cache."""
    if not entries:
        return f'{folder}: no engine is cached there'
    rows = [TITLES, *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    number = f'{len(entries)} engine{"" if len(entries) == 1 else "s"}'
    return '\n'.join([*lines, '', f'{folder}: {number}, '
                                  f'{_size(sum(entry.size_bytes for entry in entries))}'])


def _row(entry: Entry) -> tuple[str, ...]:
    key, parity = entry.key, entry.parity
    told = [iou for iou in parity.class_iou if iou is not None]
    streams = f', {key.streams} streams' if key.streams else ''
    return (f'{key.model} {key.model_sha256[:8]}', f'{key.device}{streams}', parity.precision,
            f'{parity.share_equal:.3%}', f'{min(told):.2%}' if told else '-',
            _size(entry.size_bytes),
            time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.built_at)),
            f'{entry.built_s:.1f} s', usable(entry))


def usable(entry: Entry) -> str:
    """Return `yes`, or why the engine can't be used on this machine."""
    problem = entry.parity.problem()
    foreign = entry.key.foreign()
    reasons = [*([f'refused: {problem}'] if problem else []), *([foreign] if foreign else [])]
    return f'no, {"; ".join(reasons)}' if reasons else 'yes'


def _size(count: int) -> str:
    for unit in ('B', 'kB', 'MB'):
        if count < 1000:
            return f'{count:.0f} {unit}'
        count /= 1000
    return f'{count:.1f} GB'
