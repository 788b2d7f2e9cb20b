# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From a checkpoint to a model file: `segret_export best.safetensors --output model.onnx`."""

import argparse
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
import hashlib
from pathlib import Path
import shutil
import sys
import tempfile
from typing import Any

import cv2
import numpy as np
import onnx
from segret_ros.command_line import FAILED, Parser
from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_file import claim_file, MODEL_MARK
from segret_ros.inference import Model, ModelInfo
from segret_ros.inference.engines.onnx_runtime import onnxruntime
from segret_ros.inference.model_info import PRECISIONS
from segret_ros.labels.label_set import LabelSet, LabelSetError, load_label_set
from segret_ros.network import load_checkpoint, SegRet
from segret_train import calibration
from segret_train.agreement import (
    Agreement,
    expected_labels,
    ExportError,
    parity_frames_of,
    problem_of,
    share_equal,
)
from segret_train.datasets import DataSet, HOLD_OUT_HELP, NAMES_HELP, open_data_set
from segret_train.frame_sampling import SAMPLE_DRIVE, sample_frames
from segret_train.onnx_model import (
    OPSET,
    save_model,
    store_as_half,
    to_half_onnx,
    to_onnx,
    tool_versions,
)
from segret_train.quantisation import quantise, ranges_of
from tqdm import tqdm

CHECK_FRAMES = 8
RANGE_FRAMES = 100  # for measuring the ranges of an int8 file


def export(checkpoint: Path, output: Path, input_size: tuple[int, int],
           frames: Iterable[np.ndarray], labels: LabelSet | None = None,
           training_data: str = '', calibrate_on: DataSet | None = None,
           precision: str = 'float32', quantise_on: Path = SAMPLE_DRIVE) -> Agreement:
    """
    Write a checkpoint's model file, after checking that it labels the frames as PyTorch does.

    A float32 file's weights are stored as float16 if the labels stay the same, else as float32.
    The same arguments and versions of the tools give the same bytes (docs/model_file.md).

    :param input_size: (height, width) of the network's input.
    :param frames: (H, W, 3) uint8 RGB images to compare on.
    :param labels: names and colours, for a checkpoint that has none.
    :param training_data: what the network was trained on, for a checkpoint that does not say.
    :param calibrate_on: its val split is used to fit the temperature; without it that is 1.
    :param precision: of the file's computation, one of `PRECISIONS`.
    :param quantise_on: bag or folder of images for measuring the ranges of an int8 file.
    :raises OutputError: if the output is an input, or an existing file but not a model file.
    :raises ExportError: if the output can't be written, labels differ or a value is missing;
        nothing is written then.
    :raises CalibrationError: if no temperature fits the frames; nothing is written then.
    :raises FramesError, BagError: for `frames` or a `quantise_on` without images.
    """
    claim_output(output, [checkpoint, quantise_on])
    network = load_checkpoint(checkpoint)
    info = describe(network, checkpoint, input_size, labels, training_data)
    if calibrate_on is not None:  # fail before the work is done
        calibrate_on.samples('val')
        calibration.refuse_other_classes(checkpoint, info.labels, calibrate_on)
    frames = list(frames)
    expected = expected_labels(network, checkpoint, input_size, frames)
    info = replace(info, parity_frames=parity_frames_of(network, input_size, frames))
    info, ranges = in_precision(info, network, precision, quantise_on)
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / output.name
        for weights, model in candidates(network, info, ranges):
            save_model(model, info, candidate)
            share = share_equal(candidate, tqdm(frames, f'compare {weights}', unit='frame'),
                                expected)
            problem = problem_of(candidate, info, share)
            if not problem:
                break
        else:
            raise ExportError(f'{output}: not written, because {problem}')
        if calibrate_on is not None:
            calibration.calibrate(candidate, calibrate_on)
        with atomic_path(output) as partial:
            shutil.copyfile(candidate, partial)
    return Agreement(share, weights)


def claim_output(output: Path, inputs: list[Path]) -> None:
    """Refuse an output that can't be written, that is an input, or that is a user's file."""
    problem = '' if output.suffix == '.onnx' else 'its name does not end in .onnx'
    try:
        claim_file(output, inputs, MODEL_MARK)
        folder = next(parent for parent in output.absolute().parents if parent.exists())
        tempfile.NamedTemporaryFile(dir=folder, prefix=f'.{output.name}.').close()
    except OSError as error:
        problem = f"it can't be written ({error.strerror})"
    if problem:
        raise ExportError(f'--output is {output}: {problem}; give a file NAME.onnx in a folder '
                          'that you may write to')


def in_precision(info: ModelInfo, network: SegRet, precision: str,
                 quantise_on: Path) -> tuple[ModelInfo, list[float]]:
    """Return the metadata of a file in a precision, and the ranges if it is int8."""
    info = replace(info, precision=precision)
    if precision != 'int8':
        return info, []
    size = info.input_size[::-1]
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
              for frame in sample_frames(quantise_on, RANGE_FRAMES)]
    ranges = ranges_of(to_onnx(network, info.input_size),
                       tqdm(frames, 'measure ranges', unit='frame'))
    return replace(info, quantised_on=f'{quantise_on.resolve().name}, {len(frames)} frames',
                   tools={**info.tools, 'onnxruntime': onnxruntime.__version__}), ranges


def candidates(network: SegRet, info: ModelInfo,
               ranges: list[float]) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield the graphs to try in turn, each with the precision of its stored weights."""
    if info.precision == 'float32':
        model = to_onnx(network, info.input_size)
        halved = deepcopy(model)
        store_as_half(halved)
        yield 'float16', halved
        yield 'float32', model
        return
    model = to_half_onnx(network, info.input_size)
    if info.precision == 'int8':
        quantise(model, ranges)
    yield info.precision, model


def describe(network: SegRet, checkpoint: Path, input_size: tuple[int, int],
             labels: LabelSet | None, training_data: str) -> ModelInfo:
    """Return the metadata of a checkpoint's model file; parameters as for `export`."""
    try:
        colors: Any = tuple(map(tuple, network.palette))
        labels = labels or LabelSet(tuple(network.class_names), colors)
    except LabelSetError as error:
        raise ExportError(f'{checkpoint}: has no usable class names and colours ({error}): give '
                          'them with --labels') from error
    if len(labels) != network.num_classes:
        raise ExportError(f'{checkpoint}: has {network.num_classes} classes, the label set '
                          f'{len(labels)}: give the one that it was trained with by --labels')
    if min(input_size) < 32:
        raise ExportError(f'--input-size is {input_size}: both sides must be at least 32')
    record = network.training_record
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    return ModelInfo(labels=labels, input_size=input_size, variant=network.variant,
                     training_data=training_data or record.get('data', 'unknown'),
                     miou=record.get('val_miou'), miou_data=record.get('val_data', ''),
                     source=f'{checkpoint.name}, sha256 {digest}', checkpoint_sha256=digest,
                     opset=OPSET, tools=tool_versions())


def report(output: Path, agreement: Agreement, info: ModelInfo) -> str:
    """Return the text that the command prints about the file it wrote."""
    megabytes = output.stat().st_size / 1e6
    lines = [f'{output}: {megabytes:.1f} MB, {info.precision} with {agreement.weights} '
             f"weights, {agreement.share:.4%} of labels as PyTorch's"]
    if info.quantised_on.startswith(f'{SAMPLE_DRIVE.name},') \
            and info.labels.names != load_label_set('camvid').names:
        lines.append('Warning: the ranges of int8 were measured on the sample drive, which comes '
                     "from CamVid and does not have this model's classes: export again with "
                     '--quantise-on and images from your camera')
    return '\n'.join(lines)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog='segret_export',
        description='Convert a checkpoint of segret_train or of the authors to one self-contained '
                    "model file. Before it is written, its labels are compared with PyTorch's: "
                    'in float32, weights are stored as float16 if 99.9 % of the labels stay the '
                    'same, else as float32; float16 and int8 must pass the parity check of '
                    'engines.')
    add = parser.add_argument
    add('checkpoint', type=Path, help='.safetensors of segret_train, or a .pth')
    add('--output', type=Path, required=True, help='the .onnx to write')
    add('--input-size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'), default=(360, 480),
        help='of the network (default: 360 480)')
    add('--precision', choices=PRECISIONS, default='float32', help='of its computation (default: '
        'float32); docs/precision.md says which is worthwhile where')
    add('--quantise-on', type=Path, metavar='PATH', help='bag or folder of images for measuring '
        'the ranges of int8 (default: the sample drive)')
    add('--frames', type=Path, default=SAMPLE_DRIVE, metavar='PATH', help='bag or folder of '
        'images to compare on (default: the sample drive of CamVid, free for research); up to '
        'four of them are stored in the model file, visible to everyone who has it')
    add('--data', type=Path, help='folder of a data set, to calibrate the confidence on its val '
        'split (default: do not calibrate)')
    add('--dataset', metavar='NAME', help=f'its name: {NAMES_HELP} (default: camvid)')
    add('--hold-out', metavar='PATTERN', help=HOLD_OUT_HELP)
    add('--labels', help='class names and colours, for a checkpoint without them: camvid, '
        'cityscapes, ade20k, coco_stuff, mapillary_vistas or a YAML file')
    add('--training-data', default='', help='what the network was trained on, for a checkpoint '
        'that does not say')
    return parser.parse_args()


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = parse_arguments()
    try:
        labels = load_label_set(arguments.labels) if arguments.labels else None
        if (arguments.dataset or arguments.hold_out) and not arguments.data:
            raise ExportError('--dataset and --hold-out are about the data in --data: give --data '
                              'FOLDER too, or leave them out')
        data = arguments.data and open_data_set(arguments.dataset or 'camvid', arguments.data,
                                                arguments.hold_out)
        if arguments.quantise_on and arguments.precision != 'int8':
            raise ExportError('--quantise-on measures the ranges of int8: give --precision int8 '
                              'too, or leave it out')
        agreement = export(
            arguments.checkpoint, arguments.output, tuple(arguments.input_size),
            sample_frames(arguments.frames, CHECK_FRAMES), labels, arguments.training_data,
            data, arguments.precision, arguments.quantise_on or SAMPLE_DRIVE)
    except (ValueError, OSError) as error:
        print(f'segret_export: {error}', file=sys.stderr)
        return FAILED
    info = Model.load(arguments.output).info
    print(report(arguments.output, agreement, info))
    print(calibration.report(info))
    return 0


if __name__ == '__main__':
    sys.exit(main())
