"""From a checkpoint to a model file: `segret_export best.safetensors --output model.onnx`."""

import argparse
from collections.abc import Iterable
from dataclasses import replace
import hashlib
from itertools import islice
from pathlib import Path
import sys
import tempfile
from typing import NamedTuple

import cv2
import numpy as np
from segret_ros.atomic import atomic_path
from segret_ros.bags import read_bag
from segret_ros.inference import DeviceError, ModelInfo, read_model_info, Segmenter
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.label_set import LabelSet, load_label_set
from segret_ros.network import load_checkpoint, SegRet
from segret_ros.share import share_directory
from segret_train import calibration
from segret_train.datasets import DataSet, NAMES_HELP, open_data_set
from segret_train.evaluation import predict
from segret_train.onnx_model import OPSET, save_model, to_onnx, tool_versions
from tqdm import tqdm

CHECK_FRAMES = 8
PARITY_FRAMES = 4  # of them, which travel with the file
SMALLEST_SHARE_EQUAL = 0.999  # of pixels; the rest are ties
EXACT_ENOUGH = 0.995  # of pixels, for an engine that rounds to be a model's default


class ExportError(ValueError):
    """An export that would not do what its checkpoint does."""


class Agreement(NamedTuple):
    """
    How far a model file does what its checkpoint does.

    :param share: of pixels with the labels of PyTorch, in float32.
    :param half_weights: whether weights are float16.
    :param openvino_share: of pixels with the labels of PyTorch on OpenVINO, in the precision it
        takes on this processor; None where it is not installed.
    """

    share: float
    half_weights: bool
    openvino_share: float | None


def export(checkpoint: Path, output: Path, input_size: tuple[int, int],
           frames: list[np.ndarray], labels: LabelSet | None = None,
           training_data: str = '', calibrate_on: DataSet | None = None) -> Agreement:
    """
    Write a checkpoint's model file, once it labels the frames as PyTorch does.

    Weights are stored as float16 where the labels stay the same, else as float32. The same
    arguments give the same bytes with the same versions of the tools (docs/model_file.md).

    :param input_size: (height, width) of the network's input.
    :param frames: (H, W, 3) uint8 RGB images to compare on.
    :param labels: names and colours, for a checkpoint that holds none.
    :param training_data: what the network has seen, for a checkpoint that does not tell.
    :param calibrate_on: data to fit the temperature to, on its val split; without any it is 1.
    :raises ExportError: when labels differ or a value is missing; nothing is written then.
    :raises CalibrationError: when no temperature fits the frames; nothing is written then.
    """
    if calibrate_on is not None:
        calibrate_on.samples('val')  # a wrong folder is told before the work
    network = load_checkpoint(checkpoint)
    info = replace(describe(network, checkpoint, input_size, labels, training_data),
                   parity_frames=parity_frames_of(network, input_size, frames))
    expected = [predict(network, frame, input_size) for frame in frames]
    for half_weights in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            candidate = Path(folder) / output.name
            save_model(to_onnx(network, input_size, half_weights), info, candidate)
            weights = 'float16' if half_weights else 'float32'
            share = share_equal(candidate, tqdm(frames, f'compare {weights}', unit='frame'),
                                expected)
            if share >= SMALLEST_SHARE_EQUAL:
                agreement = Agreement(share, half_weights, openvino_share(
                    candidate, frames, expected))
                if calibrate_on is not None:
                    calibration.calibrate(candidate, calibrate_on)
                with atomic_path(output) as partial:
                    partial.write_bytes(candidate.read_bytes())
                return agreement
    raise ExportError(f'{output}: not written, for only {share:.4%} of the labels are those of '
                      f'PyTorch; at least {SMALLEST_SHARE_EQUAL:.1%} must be. Try another '
                      '--input-size or other versions of torch and onnxscript')


def describe(network: SegRet, checkpoint: Path, input_size: tuple[int, int],
             labels: LabelSet | None, training_data: str) -> ModelInfo:
    """Give the metadata of a checkpoint's model file; parameters as of `export`."""
    if labels is None:
        if not network.class_names:
            raise ExportError(f'{checkpoint}: holds no class names; give them with --labels')
        labels = LabelSet(tuple(network.class_names), tuple(map(tuple, network.palette)))
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


def parity_frames_of(network: SegRet, input_size: tuple[int, int],
                     frames: list[np.ndarray]) -> str:
    """Give what travels with the file: some of the frames, with the labels of PyTorch."""
    chosen = frames[::-(-len(frames) // PARITY_FRAMES)]
    files = [compressed(cv2.resize(frame, input_size[::-1], interpolation=cv2.INTER_AREA))
             for frame in chosen]
    return encode([(jpeg, predict(network, decompressed(jpeg), input_size)) for jpeg in files])


def openvino_share(model: Path, frames: list[np.ndarray],
                   expected: list[np.ndarray]) -> float | None:
    """Give the share of pixels labelled as expected on OpenVINO, or None where it is missing."""
    try:
        return share_equal(model, frames, expected, device='openvino')
    except DeviceError:
        return None


def share_equal(model: Path, frames: Iterable[np.ndarray], expected: list[np.ndarray],
                device: str = 'cpu') -> float:
    """Give the share of pixels that a model file labels as expected on a device, 0..1."""
    segmenter = Segmenter(model, device, confidence=False)
    equal = [segmenter(frame).label == label
             for frame, label in zip(frames, expected)]
    return sum(map(np.count_nonzero, equal)) / sum(part.size for part in equal)


def sample_frames(folder: Path | None) -> list[np.ndarray]:
    """
    Give images to compare on: a folder's, or the sample drive's, evenly chosen.

    :return: at most `CHECK_FRAMES` of (H, W, 3) uint8 RGB.
    :raises ExportError: for a folder without images, or with a damaged one.
    """
    if folder is None:
        recorded = read_bag(share_directory() / 'data' / 'sample_drive',
                            ['/camera/image_raw/compressed'])
        encoded = [message.message().data for message in islice(recorded, 0, None, 13)]
    else:
        paths = sorted(path for path in folder.glob('*') if path.suffix in ('.jpg', '.png'))
        if not paths:
            raise ExportError(f'{folder}: holds no .jpg or .png to compare on')
        encoded = [np.fromfile(path, np.uint8)
                   for path in paths[::-(-len(paths) // CHECK_FRAMES)]]
    decoded = [cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None for data in encoded]
    if any(image is None for image in decoded):
        raise ExportError(f"{folder}: holds an image that can't be read; take it away")
    return [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in decoded]


def report(output: Path, agreement: Agreement) -> str:
    """Give what the command says of a model file that it wrote."""
    megabytes = output.stat().st_size / 1e6
    lines = [f'{output}: {megabytes:.1f} MB, float{16 if agreement.half_weights else 32} weights, '
             f"{agreement.share:.4%} of labels as PyTorch's"]
    if agreement.openvino_share is not None:
        lines.append(f'on OpenVINO, as this processor rounds, {agreement.openvino_share:.4%}')
        if agreement.openvino_share < EXACT_ENOUGH:
            lines.append(f'That is less than {EXACT_ENOUGH:.1%}: run this model on device cpu, '
                         'for auto takes OpenVINO where it is installed')
    return '\n'.join(lines)


def main() -> int:
    """Run the command line; give its exit code."""
    parser = argparse.ArgumentParser(
        prog='segret_export',
        description='Turn a checkpoint of segret_train or of the authors into one model file that '
                    "explains itself. Its labels are compared with PyTorch's before it is "
                    'written: weights are stored as float16 if 99.9 % of the labels stay the '
                    'same, else as float32.')
    parser.add_argument('checkpoint', type=Path, help='.safetensors of segret_train, or a .pth')
    parser.add_argument('--output', type=Path, required=True, help='the .onnx to write')
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        default=(360, 480), help='of the network (default: 360 480)')
    parser.add_argument('--frames', type=Path,
                        help='folder of images to compare on (default: the sample drive)')
    parser.add_argument('--data', type=Path, help='folder of a data set, to calibrate the '
                        'confidence on its val split (default: do not calibrate)')
    parser.add_argument('--dataset', default='camvid', metavar='NAME',
                        help=f'which one that is: {NAMES_HELP} (default: camvid)')
    parser.add_argument('--labels', help='class names and colours, for a checkpoint without them: '
                        'camvid, cityscapes, ade20k, coco_stuff, mapillary_vistas or a YAML '
                        'file')
    parser.add_argument('--training-data', default='',
                        help='what the network has seen, for a checkpoint that does not tell')
    arguments = parser.parse_args()
    try:
        labels = load_label_set(arguments.labels) if arguments.labels else None
        data = open_data_set(arguments.dataset, arguments.data) if arguments.data else None
        agreement = export(
            arguments.checkpoint, arguments.output, tuple(arguments.input_size),
            sample_frames(arguments.frames), labels, arguments.training_data, data)
    except (ValueError, OSError) as error:
        print(f'segret_export: {error}', file=sys.stderr)
        return 1
    print(report(arguments.output, agreement))
    print(calibration.report(read_model_info(arguments.output)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
