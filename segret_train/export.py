# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From a checkpoint to a model file: `segret_export best.safetensors --output model.onnx`."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
import hashlib
from pathlib import Path
import sys
import tempfile
from typing import NamedTuple

import cv2
import numpy as np
import onnx
from segret_ros.command_line import FAILED, Parser
from segret_ros.errors import reason
from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_file import claim_file, MODEL_MARK
from segret_ros.inference import DeviceError, Model, ModelError, ModelInfo, Segmenter
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.engines.onnx_runtime import onnxruntime
from segret_ros.inference.model_info import PRECISIONS
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.inference.serving.parity import compare, LEAST_SHARE_EQUAL
from segret_ros.labels.label_set import LabelSet, LabelSetError, load_label_set
from segret_ros.network import load_checkpoint, SegRet
from segret_train import calibration
from segret_train.datasets import DataSet, NAMES_HELP, open_data_set
from segret_train.frame_sampling import SAMPLE_DRIVE, sample_frames
from segret_train.onnx_model import (
    OPSET,
    save_model,
    store_as_half,
    to_half_onnx,
    to_onnx,
    tool_versions,
)
from segret_train.protocol import label_of, logits_of, predict
from segret_train.quantisation import quantise, ranges_of
from tqdm import tqdm

CHECK_FRAMES = 8
PARITY_FRAMES = 4  # of these, which are stored in the file
RANGE_FRAMES = 100  # for measuring the ranges of an int8 file
EXACT_ENOUGH = 0.995  # of pixels, for an engine that rounds to be a model's default


class ExportError(ValueError):
    """An export whose labels would differ from the checkpoint's, or that lacks a value."""


class Agreement(NamedTuple):
    """
    How closely a model file reproduces its checkpoint.

    :param share: of pixels with the labels of PyTorch in float32.
    :param precision: of the file's computation.
    :param weights: precision in which the large ones are stored.
    :param openvino_share: of pixels with the labels of PyTorch on OpenVINO, in the precision that
        it uses on this processor; None if it is not installed or can't load the file.
    :param openvino_problem: why it can't load the file, else empty.
    """

    share: float
    precision: str
    weights: str
    openvino_share: float | None
    openvino_problem: str = ''


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
    :raises OutputError: if the output is an existing file, but not a model file.
    :raises ExportError: if the output can't be written, labels differ or a value is missing;
        nothing is written then.
    :raises CalibrationError: if no temperature fits the frames; nothing is written then.
    :raises FramesError, BagError: for `frames` or a `quantise_on` without images.
    """
    refuse_output(output, checkpoint)
    claim_file(output, [checkpoint, quantise_on], MODEL_MARK)
    network = load_checkpoint(checkpoint)
    info = describe(network, checkpoint, input_size, labels, training_data)
    if calibrate_on is not None:  # fail before the work is done
        calibrate_on.samples('val')
        calibration.refuse_other_classes(checkpoint, info.labels, calibrate_on)
    frames = list(frames)
    expected = expected_labels(network, checkpoint, input_size, frames)
    info = replace(info, parity_frames=parity_frames_of(network, input_size, frames))
    info, ranges = in_precision(info, network, precision, quantise_on)
    for weights, model in candidates(network, info, ranges):
        with tempfile.TemporaryDirectory() as folder:
            candidate = Path(folder) / output.name
            save_model(model, info, candidate)
            share = share_equal(candidate, tqdm(frames, f'compare {weights}', unit='frame'),
                                expected)
            problem = problem_of(candidate, info, share)
            if not problem:
                agreement = Agreement(share, precision, weights,
                                      *openvino_share(candidate, frames, expected))
                if calibrate_on is not None:
                    calibration.calibrate(candidate, calibrate_on)
                with atomic_path(output) as partial:
                    partial.write_bytes(candidate.read_bytes())
                return agreement
    raise ExportError(f'{output}: not written, because {problem}')


def refuse_output(output: Path, checkpoint: Path) -> None:
    """Refuse an output that can't be written, or that is the checkpoint."""
    problem = ''
    try:
        if output.suffix != '.onnx':
            problem = 'its name does not end in .onnx'
        elif output.is_dir():
            problem = 'it is a folder'
        elif output.resolve() == checkpoint.resolve():
            problem = 'it is the checkpoint'
        else:
            folder = next(parent for parent in output.absolute().parents if parent.exists())
            tempfile.TemporaryFile(dir=folder).close()
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


def problem_of(candidate: Path, info: ModelInfo, share: float) -> str:
    """
    Return why a file must not be written, with the way out, or an empty text.

    :param share: of pixels of real frames with the labels of PyTorch.
    """
    if info.precision == 'float32':
        least = LEAST_SHARE_EQUAL['float32']
        return '' if share >= least else (
            f'only {share:.4%} of the labels are those of PyTorch, at least {least:.1%} must be. '
            'Try another --input-size or other versions of torch and onnxscript')
    model = Model.load(candidate)
    parity = compare(open_engine(model, 'cpu'), model.parity_frames, len(info.labels),
                     info.precision)
    way_out = {'float16': 'Take --precision float32',
               'int8': f'Its ranges were measured on {info.quantised_on}: give images of '
                       'your camera with --quantise-on, or take --precision float16'}
    return parity.problem() and f'{parity.problem()}. {way_out[info.precision]}'


def describe(network: SegRet, checkpoint: Path, input_size: tuple[int, int],
             labels: LabelSet | None, training_data: str) -> ModelInfo:
    """Return the metadata of a checkpoint's model file; parameters as for `export`."""
    if labels is None:
        labels = labels_of(network, checkpoint)
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


def labels_of(network: SegRet, checkpoint: Path) -> LabelSet:
    """
    Return the names and colours of a checkpoint.

    :raises ExportError: if it has none, or only the names.
    """
    try:
        return LabelSet(tuple(network.class_names), tuple(map(tuple, network.palette)))
    except LabelSetError as error:
        raise ExportError(f'{checkpoint}: has no usable class names and colours ({error}): give '
                          'them with --labels') from error


def expected_labels(network: SegRet, checkpoint: Path, input_size: tuple[int, int],
                    frames: list[np.ndarray]) -> list[np.ndarray]:
    """
    Label the frames in PyTorch, as the reference for the model file; parameters as for `export`.

    :raises ExportError: for NaN or infinite logits, which every engine would label with class 0,
        and for an input size that needs more memory than there is.
    """
    labels = []
    for frame in frames:
        try:
            logits = logits_of(network, frame, input_size)
        except (MemoryError, RuntimeError, cv2.error) as error:
            raise ExportError(f"--input-size is {input_size}: the network can't be run at it "
                              f'({reason(error)}); give a smaller one') from error
        if not logits.isfinite().all():
            raise ExportError(f'{checkpoint}: its logits are NaN or infinite, so its labels are '
                              'meaningless: take an earlier checkpoint, or train again')
        labels.append(label_of(logits))
    return labels


def parity_frames_of(network: SegRet, input_size: tuple[int, int],
                     frames: list[np.ndarray]) -> str:
    """Encode some of the frames with their labels in PyTorch, to be stored in the file."""
    chosen = frames[::-(-len(frames) // PARITY_FRAMES)]
    files = [compressed(cv2.resize(frame, input_size[::-1], interpolation=cv2.INTER_AREA))
             for frame in chosen]
    return encode([(jpeg, predict(network, decompressed(jpeg), input_size)) for jpeg in files])


def openvino_share(model: Path, frames: list[np.ndarray],
                   expected: list[np.ndarray]) -> tuple[float | None, str]:
    """Return the share of pixels that OpenVINO labels as expected, or None and its problem."""
    try:
        return share_equal(model, frames, expected, device='openvino'), ''
    except DeviceError:  # not installed
        return None, ''
    except ModelError as error:
        return None, reason(error.__cause__ or error)


def share_equal(model: Path, frames: Iterable[np.ndarray], expected: list[np.ndarray],
                device: str = 'cpu') -> float:
    """Return the share of pixels that a model file labels as expected on a device, 0..1."""
    segmenter = Segmenter(model, device, confidence=False)
    equal = [segmenter(frame).label == label
             for frame, label in zip(frames, expected)]
    return sum(map(np.count_nonzero, equal)) / sum(part.size for part in equal)


def report(output: Path, agreement: Agreement, info: ModelInfo) -> str:
    """Return the text that the command prints about the file it wrote."""
    megabytes = output.stat().st_size / 1e6
    lines = [f'{output}: {megabytes:.1f} MB, {agreement.precision} with {agreement.weights} '
             f"weights, {agreement.share:.4%} of labels as PyTorch's"]
    if info.quantised_on.startswith(f'{SAMPLE_DRIVE.name},') \
            and info.labels.names != load_label_set('camvid').names:
        lines.append('Warning: the ranges of int8 were measured on the sample drive, which comes '
                     "from CamVid and does not have this model's classes: export again with "
                     '--quantise-on and images from your camera')
    if agreement.openvino_problem:
        lines.append(f"OpenVINO can't load it on this processor ({agreement.openvino_problem}): "
                     'run this model on device cpu')
    if agreement.openvino_share is not None:
        lines.append(f'on OpenVINO, with the rounding of this processor, '
                     f'{agreement.openvino_share:.4%}')
        least = min(EXACT_ENOUGH, LEAST_SHARE_EQUAL[agreement.precision])
        if agreement.openvino_share < least:
            lines.append(f'That is less than {least:.1%}: run this model on device cpu, '
                         'since auto takes OpenVINO where it is installed')
    return '\n'.join(lines)


def main() -> int:
    """Run the command line and return its exit code."""
    parser = Parser(
        prog='segret_export',
        description='Convert a checkpoint of segret_train or of the authors to one self-contained '
                    "model file. Before it is written, its labels are compared with PyTorch's: "
                    'in float32, weights are stored as float16 if 99.9 % of the labels stay the '
                    'same, else as float32; float16 and int8 must pass the parity check of '
                    'engines.')
    parser.add_argument('checkpoint', type=Path, help='.safetensors of segret_train, or a .pth')
    parser.add_argument('--output', type=Path, required=True, help='the .onnx to write')
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        default=(360, 480), help='of the network (default: 360 480)')
    parser.add_argument('--precision', choices=PRECISIONS, default='float32',
                        help='of its computation (default: float32); docs/precision.md says '
                        'which is worthwhile where')
    parser.add_argument('--quantise-on', type=Path, metavar='PATH', help='bag or folder of images '
                        'for measuring the ranges of int8 (default: the sample drive)')
    parser.add_argument('--frames', type=Path, default=SAMPLE_DRIVE, metavar='PATH',
                        help='bag or folder of images to compare on (default: the sample drive '
                        'of CamVid, free for research); up to four of them are stored in the '
                        'model file, visible to everyone who has it')
    parser.add_argument('--data', type=Path, help='folder of a data set, to calibrate the '
                        'confidence on its val split (default: do not calibrate)')
    parser.add_argument('--dataset', metavar='NAME',
                        help=f'its name: {NAMES_HELP} (default: camvid)')
    parser.add_argument('--labels', help='class names and colours, for a checkpoint without them: '
                        'camvid, cityscapes, ade20k, coco_stuff, mapillary_vistas or a YAML '
                        'file')
    parser.add_argument('--training-data', default='',
                        help='what the network was trained on, for a checkpoint that does not say')
    arguments = parser.parse_args()
    try:
        labels = load_label_set(arguments.labels) if arguments.labels else None
        if arguments.dataset and not arguments.data:
            raise ExportError('--dataset names the data in --data: give --data FOLDER too, or '
                              'leave it out')
        data = arguments.data and open_data_set(arguments.dataset or 'camvid', arguments.data)
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
