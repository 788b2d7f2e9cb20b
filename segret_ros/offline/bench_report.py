# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A measurement as text for a terminal, and as JSON."""

from dataclasses import asdict

from segret_ros.files.share import package_version
from segret_ros.offline.bench_measure import Benchmark, faster, ratio, Result, STAGES, WARM_UP_RUNS
from segret_ros.text_table import text_table

NAMES = 'AB'
SMALLEST_COMPARED_MS = 0.05  # below it a ratio is noise


def to_text(bench: Benchmark) -> str:
    """Return what the terminal shows."""
    parts = [heading(bench), table(bench), summary(bench)]
    return '\n\n'.join('\n'.join(lines) for lines in parts)


def heading(bench: Benchmark) -> list[str]:
    """Return what was measured on what, line by line."""
    lines = [f'machine  {bench.machine}',
             f'camera   {size_text(bench.camera_size)} (height x width), JPEG frames of the '
             f'sample drive; {bench.runs} runs after {WARM_UP_RUNS} to warm up']
    for name, result in named(bench):
        lines += [f'{name or "model":<9}{description(result)}',
                  f'{"":<9}{result.engine} on {result.device}']
    return lines


def named(bench: Benchmark) -> list[tuple[str, Result]]:
    """Return the results with their names: A and B, or none for one alone."""
    return list(zip(NAMES if len(bench.results) > 1 else [''], bench.results))


def description(result: Result) -> str:
    """Describe a model in a few words."""
    info = result.info
    return (f'{result.path.stem} ({info.variant}, {len(info.labels)} classes, network input '
            f'{size_text(info.input_size)})')


def size_text(size: tuple[int, int]) -> str:
    """Write a size as height x width."""
    return f'{size[0]} x {size[1]}'


def table(bench: Benchmark) -> list[str]:
    """Return the times of each stage, those of two results side by side."""
    headers = ['stage, ms', *(f'{name} {column}'.strip() for name, _ in named(bench)
                              for column in ('median', 'p90', 'p99'))]
    pair = len(bench.results) == 2
    rows = []
    for stage in STAGES:
        statistics = [result.statistics(stage) for result in bench.results]
        row = [stage, *(f'{value:.2f}' for values in statistics for value in values.values())]
        if pair:
            comparable = min(values['median'] for values in statistics) >= SMALLEST_COMPARED_MS
            row.append(f'{ratio(bench.results, stage):.2f}' if comparable else '-')
        rows += [[''], row, ['']] if stage == 'total' else [row]
    headers += ['B / A'] * pair
    return text_table(rows, headers, ['left', *['right'] * (len(headers) - 1)]).splitlines()


def summary(bench: Benchmark) -> list[str]:
    """Return the conclusions, line by line."""
    lines = ['total is camera image to labels and confidence: resize, network, labels, confidence']
    for name, result in named(bench):
        lines.append(f'{name + ": " if name else ""}{result.images_per_second():.1f} images per '
                     f'second; {result.share_around_network():.0%} of the time is around the '
                     f'network; ready {result.load_ms / 1e3:.1f} s after the start of loading')
    if bench.load_added_mb is None:
        lines += [f'memory: at most {bench.peak_memory_mb:.0f} MB, of both models together',
                  *comparison(bench)]
    else:
        lines.append(f'memory: at most {bench.peak_memory_mb:.0f} MB, of which loading the model '
                     f'added {bench.load_added_mb:.0f} MB')
    return lines


def comparison(bench: Benchmark) -> list[str]:
    """Describe how two results differ, line by line."""
    total, (winner, wins) = ratio(bench.results, 'total'), faster(bench.results)
    pairs = f'B was faster in {wins} of {bench.runs} pairs'
    lines = [f'no significant difference in time: B / A is {total:.3f}, {pairs}']
    if winner:
        factor = 1 / total if winner == 'B' else total
        lines = [f'{winner} is {factor:.2f} times as fast as {"A" if winner == "B" else "B"}: B / '
                 f'A is {total:.3f}, {pairs}']
    if bench.equal_labels is None:
        return [*lines, 'labels are not compared: the models have different classes']
    return [*lines, f'{bench.equal_labels:.3%} of the labels are equal']


def to_json(bench: Benchmark) -> dict:
    """Return all of a measurement, with the version and the machine."""
    record = {'segret_ros': package_version(), 'machine': asdict(bench.machine),
              'camera_size': list(bench.camera_size), 'runs': bench.runs,
              'warm_up_runs': WARM_UP_RUNS, 'peak_memory_mb': bench.peak_memory_mb,
              'load_added_mb': bench.load_added_mb,
              'results': [result_to_json(result) for result in bench.results]}
    if len(bench.results) == 2:
        winner, wins = faster(bench.results)
        record['comparison'] = {
            'ratio_b_to_a': {stage: ratio(bench.results, stage) for stage in STAGES},
            'faster': winner, 'pairs_b_faster': wins, 'equal_labels': bench.equal_labels}
    return record


def result_to_json(result: Result) -> dict:
    """Return the numbers of one model on one device."""
    return {'model': str(result.path), 'variant': result.info.variant,
            'classes': len(result.info.labels), 'input_size': list(result.info.input_size),
            'engine': result.engine, 'device': result.device, 'load_ms': result.load_ms,
            'images_per_second': result.images_per_second(),
            'share_around_network': result.share_around_network(),
            'stages_ms': {stage: result.statistics(stage) for stage in STAGES}}
