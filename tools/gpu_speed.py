# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure the network on this NVIDIA GPU beside SegFormer's, and its attention beside PyTorch's.

`PYTHONPATH=. python tools/gpu_speed.py` prints the tables of docs/performance.md and writes
`out/gpu_speed.json`. SegFormer needs the package transformers; it has random weights, as the
networks have. All are captured graphs, timed in turns by CUDA events.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
import json
import math
from pathlib import Path
from statistics import median
import time

import numpy as np
from segret_ros.files.share import default_model
from segret_ros.inference import Model, Segmenter
from segret_ros.inference.engines import kernels
from segret_ros.inference.engines.devices import lacks
from segret_ros.inference.engines.fused import FusedSegRet
from segret_ros.inference.engines.pytorch import without_tf32
from segret_ros.network import SegRet
from segret_ros.network.decay import ManhattanDecay
from segret_ros.network.deployed import DeployedSegRet, to_half
from tabulate import tabulate
import torch
from torch import nn, Tensor
from torch.nn.functional import scaled_dot_product_attention

CLASSES, ROUNDS, REPLAYS, WARM_UP = 19, 15, 10, 3
SIZES = ((360, 480), (512, 1024), (1024, 2048))
SEGFORMERS = {'B0': ((32, 64, 160, 256), (2, 2, 2, 2), 256),
              'B1': ((64, 128, 320, 512), (2, 2, 2, 2), 256)}  # widths, depths, decoder
GRIDS = ((128, 256, 'rows', 2, 16), (128, 256, 'columns', 2, 16), (64, 128, 'rows', 4, 32),
         (32, 64, 'grid', 8, 32), (64, 128, 'grid', 8, 32))  # height, width, axes, heads, dim
TILES = ((64, 64), (128, 64), (128, 128), (64, 32))  # queries and keys to compare
CAMERA = (1080, 1920)
REPORT = Path('out') / 'gpu_speed.json'


def main() -> None:
    """Print the tables."""
    tables = {}
    with torch.inference_mode(), without_tf32():
        for name, table in (('network', networks), ('attention', attentions), ('camera', cameras)):
            tables[name] = rows = table()
            print(tabulate(rows, 'keys', floatfmt='.4g'), end='\n\n', flush=True)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({'gpu': torch.cuda.get_device_name(), 'torch': torch.__version__,
                                  **tables}, indent=1))


def networks() -> list[dict[str, object]]:
    """Time the networks at each size, in both precisions."""
    rows = []
    for size in SIZES:
        for half in (True, False):
            calls = {name: partial(network, image(size, half, name))
                     for name, network in made(half).items()}
            rows += [{'network': name, 'size': 'x'.join(map(str, size)),
                      'type': 'float16' if half else 'float32', 'ms': ms, 'peak MB': peak}
                     for name, (ms, peak) in timed(calls).items()]
    return rows


def made(half: bool) -> dict[str, nn.Module]:
    """Make the networks, with random weights."""
    result: dict[str, nn.Module] = {}
    for variant in ('nano', 'tiny'):
        network = FusedSegRet(DeployedSegRet(SegRet(variant, CLASSES).eval()))
        if half:
            to_half(network)
        result[variant] = network
    if find_spec('transformers'):
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
        for name, (widths, depths, decoder) in SEGFORMERS.items():
            network = SegformerForSemanticSegmentation(SegformerConfig(
                hidden_sizes=widths, depths=depths, decoder_hidden_size=decoder,
                num_labels=CLASSES)).eval()
            result[f'SegFormer-{name}'] = network.half() if half else network
    return {name: network.cuda().to(memory_format=torch.channels_last)
            for name, network in result.items()}


def image(size: tuple[int, int], half: bool, name: str) -> Tensor:
    """Return an image as the network takes it."""
    if name.startswith('SegFormer'):
        return torch.zeros(1, 3, *size, device='cuda', dtype=torch.half if half else torch.float)
    return torch.zeros(1, *size, 3, dtype=torch.uint8, device='cuda')


def attentions() -> list[dict[str, object]]:
    """Time the attention of one block, with each size of tile, beside PyTorch's with a bias."""
    rows = []
    for height, width, axes, heads, dim in GRIDS:
        for dtype in (torch.half, torch.float):
            query, key, value = torch.randn(3, height * width, heads * dim, device='cuda',
                                            dtype=dtype).unbind()
            decay = ManhattanDecay(heads, 4).cuda()
            calls: dict[str, Callable[[], object]] = {}
            for tile in TILES:
                calls['x'.join(map(str, tile))] = partial(
                    attend_with, tile, query, key, value, decay.log_decay / math.log(2),
                    (height, width), axes)
            calls['PyTorch'] = fused(query, key, value, decay, (height, width), axes)
            times = {name: ms for name, (ms, _) in timed(calls).items()}
            rows.append({'grid': f'{height}x{width}', 'axes': axes, 'heads': heads, 'dim': dim,
                         'type': str(dtype).removeprefix('torch.'), **times})
    return rows


def attend_with(tile: tuple[int, int], *arguments) -> Tensor:
    """Attend in tiles of some size."""
    kernels.QUERIES, kernels.KEYS = tile
    return kernels.attend(*arguments)


def fused(query: Tensor, key: Tensor, value: Tensor, decay: ManhattanDecay,
          grid: tuple[int, int], axes: str) -> Callable[[], Tensor]:
    """Return PyTorch's fused attention with the decay as bias."""
    height, width = grid
    parts = [part.view(height, width, len(decay.log_decay), -1) for part in (query, key, value)]
    if axes == 'columns':
        parts = [part.transpose(0, 1) for part in parts]
    if axes == 'grid':
        parts = [part.flatten(0, 1)[None] for part in parts]
        bias = decay.grid(height, width)
    else:
        bias = decay.line(width if axes == 'rows' else height)
    return partial(scaled_dot_product_attention, *(part.transpose(1, 2) for part in parts),
                   attn_mask=bias[None].to(query.dtype))


def timed(calls: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Return each call's median ms as a captured graph, in turns, and its peak memory in MB."""
    graphs = {}
    peaks = {}
    for name, call in calls.items():
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                call()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        peaks[name] = (torch.cuda.max_memory_allocated() - before) / 1e6
        graphs[name] = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graphs[name], stream=stream):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, graph in graphs.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(REPLAYS):
                graph.replay()
            end.record()
            torch.cuda.synchronize()
            times[name].append(start.elapsed_time(end) / REPLAYS)
    return {name: (median(values), peaks[name]) for name, values in times.items()}


def cameras() -> list[dict[str, object]]:
    """Time a camera image to labels and confidence, the shipped model on each device, in turns."""
    model, camera = Model.load(default_model()), np.zeros((*CAMERA, 3), np.uint8)
    segmenters, first = {}, {}
    for device in ('torch', 'torch:float32', 'cuda'):
        if not lacks(device):
            start = time.perf_counter()
            segmenters[device] = Segmenter(model, device)
            segmenters[device](camera)
            first[device] = time.perf_counter() - start
    times: dict[str, list[float]] = {device: [] for device in segmenters}
    for _ in range(ROUNDS * REPLAYS):
        for device, segmenter in segmenters.items():
            start = time.perf_counter()
            segmenter(camera)
            times[device].append((time.perf_counter() - start) * 1e3)
    return [{'device': device, 'engine': segmenters[device].engine.name, 'camera': CAMERA,
             'ms': median(values), 'first label after s': first[device]}
            for device, values in times.items()]


if __name__ == '__main__':
    main()
