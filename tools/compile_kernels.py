# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Compile the GPU kernels of the torch engine for GPUs that need not be here.

`python tools/compile_kernels.py 87 90` prints what each kernel takes of a multiprocessor of these
compute capabilities: registers and stack (spilt registers) a thread, shared memory a block.
"""

import argparse
from pathlib import Path
import re
import subprocess
from tempfile import TemporaryDirectory

from segret_ros.inference.engines import kernels
from tabulate import tabulate
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompiledKernel

# As nano and Tiny launch them.
CONSTANTS: dict[str, list[dict[str, int]]] = {
    '_attend': [{'DIM': dim, 'OVER_GRID': over_grid, 'QUERIES': kernels.QUERIES,
                 'KEYS': kernels.KEYS}
                for dim, over_grid in ((16, False), (32, False), (32, True))],
    '_convolve': [{'SIZE': size, 'NORMALISE': size == 3, 'CELLS': kernels.TILE // channels,
                   'CHANNELS': channels} for size in (3, 5) for channels in (32, 512)],
    '_normalise': [{'CELLS': kernels.TILE // channels, 'CHANNELS': channels}
                   for channels in (32, 512)],
    '_add_resized': [{'CELLS': kernels.TILE // 128, 'CHANNELS': 128}],
    '_label': [{'CONFIDENT': True, 'PIXELS': kernels.TILE // 32, 'CLASSES': 32}]}
TENSORS = ('query', 'key', 'value', 'output', 'x', 'weight', 'bias', 'added', 'normalised',
           'ahead', 'first', 'second', 'third', 'fourth', 'logits')
OTHERS = {'slopes': '*fp32', 'labels': '*u8', 'confidences': '*u8', 'sharpness': 'fp32'}
MULTIPLES = ('query_stride', 'value_stride', 'output_stride', 'x_stride', 'channels')  # of 16
HEADERS = ['kernel', 'constants', 'type', 'capability', 'registers', 'stack', 'shared']


def compiled(name: str, constants: dict[str, int], dtype: str, capability: int) -> CompiledKernel:
    """Compile a kernel as a launch would."""
    kernel = getattr(kernels, name)
    types = {**dict.fromkeys(TENSORS, f'*{dtype}'), **OTHERS}
    signature = {argument: 'constexpr' if argument in constants else types.get(argument, 'i32')
                 for argument in kernel.arg_names}
    aligned = {(number,): [['tt.divisibility', 16]]
               for number, (argument, kind) in enumerate(signature.items())
               if kind.startswith('*') or argument in MULTIPLES}
    return triton.compile(ASTSource(kernel, signature, constants, aligned),
                          target=GPUTarget('cuda', capability, 32))


def resources(kernel: CompiledKernel) -> list[int]:
    """Return registers and stack a thread, and shared memory a block, in bytes."""
    program = Path(triton.__file__).parent / 'backends' / 'nvidia' / 'bin' / 'cuobjdump'
    with TemporaryDirectory() as folder:
        cubin = Path(folder) / 'kernel.cubin'
        cubin.write_bytes(kernel.asm['cubin'])
        told = subprocess.run([program, '--dump-resource-usage', cubin], check=True,
                              capture_output=True, text=True).stdout
    found = re.search(r'REG:(\d+) STACK:(\d+)', told)
    assert found is not None, told
    return [int(found[1]), int(found[2]), kernel.metadata.shared]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('capabilities', type=int, nargs='*', default=[87, 90],
                        help='compute capabilities, such as 87 for 8.7 (Orin)')
    rows = [[name.lstrip('_'), ' '.join(f'{key}={value}' for key, value in constants.items()),
             dtype, capability, *resources(compiled(name, constants, dtype, capability))]
            for capability in parser.parse_args().capabilities for dtype in ('fp16', 'fp32')
            for name, cases in CONSTANTS.items() for constants in cases]
    print(tabulate(rows, HEADERS))


if __name__ == '__main__':
    main()
