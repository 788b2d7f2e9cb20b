"""Mean IoU of a checkpoint or a model file: `segret_validate models/segret_nano_camvid.onnx`."""

import argparse
from collections.abc import Callable
from pathlib import Path
import sys

import numpy as np
from segret_ros.inference import Segmenter
from segret_ros.metrics import ConfusionMatrix
from segret_ros.network import load_checkpoint
from segret_train.datasets import NAMES_HELP, open_data_set
from segret_train.datasets.check import check_data, report
from segret_train.evaluation import predict, score
from tqdm import tqdm


def labeller(model: Path, device: str,
             min_confidence: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """
    Give what labels an image: a model file on its engine, or a checkpoint in PyTorch.

    :param device: of the engine; a checkpoint runs on the CPU.
    :param min_confidence: of a model file, 0..1; less confident pixels are unknown.
    :raises ValueError: for a model that can't be used, or a checkpoint with `min_confidence`.
    """
    if model.suffix == '.onnx':
        segmenter = Segmenter(model, device, confidence=min_confidence != 0)
        return lambda image_rgb: segmenter(image_rgb, min_confidence).label
    if min_confidence != 0:
        raise ValueError(f'{model}: --min-confidence needs a model file, which knows its '
                         'temperature: make one with segret_export')
    network = load_checkpoint(model)
    return lambda image_rgb: predict(network, image_rgb)


def table(names: tuple[str, ...], confusion: ConfusionMatrix) -> str:
    """Give the scores as text, a line a class, then those of the pixels that are not unknown."""
    rows = [*zip(names, confusion.iou()), ('mean IoU', confusion.mean_iou()),
            ('pixel accuracy', confusion.pixel_accuracy())]
    if confusion.unknown_share() > 0:
        known = confusion.of_known()
        rows += [('unknown', confusion.unknown_share()), ('of the rest:', None),
                 ('mean IoU', known.mean_iou()), ('pixel accuracy', known.pixel_accuracy())]
    return '\n'.join(name if value is None else f'{name:<14}{value:8.2%}'
                     for name, value in rows)


def main() -> int:
    """Run the command line; give its exit code."""
    parser = argparse.ArgumentParser(
        prog='segret_validate', formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Measure a checkpoint or a model file on a data set, or check the data set.')
    parser.add_argument('model', type=Path, nargs='?', help='.safetensors, .pth or .onnx')
    parser.add_argument('--dataset', default='camvid', metavar='NAME', help=NAMES_HELP)
    parser.add_argument('--data', type=Path, required=True, default=argparse.SUPPRESS,
                        help='folder of the data set')
    parser.add_argument('--check-data', action='store_true', help='read every image and label '
                        'instead, and tell what is damaged and how often each class occurs')
    parser.add_argument('--split', choices=('train', 'val'), default='val', help='of the data set')
    parser.add_argument('--device', default='auto', help='of a model file: auto, cpu, '
                        'openvino, cuda, cuda:N or tensorrt')
    parser.add_argument('--min-confidence', type=float, default=0.0, metavar='PROBABILITY',
                        help='pixels of a model file below it count as unknown')
    arguments = parser.parse_args()
    if not arguments.check_data and arguments.model is None:
        parser.error('name a model, or --check-data')
    try:
        data = open_data_set(arguments.dataset, arguments.data)
        if arguments.check_data:
            checks = check_data(data)
            print(report(data, checks))
            return int(any(found.errors for found in checks.values()))
        label = labeller(arguments.model, arguments.device, arguments.min_confidence)
        samples = data.samples(arguments.split)
        confusion = score(tqdm(samples, unit='frame'), label, len(data.labels))
    except (ValueError, OSError) as error:
        print(f'segret_validate: {error}', file=sys.stderr)
        return 1
    print(table(data.labels.names, confusion))
    return 0


if __name__ == '__main__':
    sys.exit(main())
