# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_label`: labels, confidence and overlays of photos and videos, as files."""

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
import os
from pathlib import Path, PurePath
import sys
import time

import cv2
import numpy as np
from segret_ros.command_line import FAILED, Parser
from segret_ros.files.output_folder import Layout, output_folder
from segret_ros.files.share import default_model
from segret_ros.images.image_file import ENDINGS, files_in, is_image, read_image, shown
from segret_ros.inference import DEVICES, Segmenter
from segret_ros.labels.label_set import LabelSet, UNKNOWN
from segret_ros.labels.visualization import overlay
from segret_ros.offline.video import VideoReader, VideoWriter
from segret_ros.text_table import text_table
from tqdm import tqdm
import yaml

LABELS, CONFIDENCE, OVERLAYS, CLASSES = 'labels', 'confidence', 'overlays', 'classes.yaml'
LAYOUT = Layout('segret_label', (f'{LABELS}/**', f'{CONFIDENCE}/**', f'{OVERLAYS}/**', CLASSES))
OVERLAY_ALPHA = 0.5
LONGEST_JPEG = 65500  # pixels a side
TOP_CLASSES = 5  # in the summary
VIDEO_ENDINGS = ('.avi', '.mkv', '.mov', '.mp4')
KNOWN_ENDINGS = ' '.join((*ENDINGS, *VIDEO_ENDINGS))
EPILOG = f"""examples:
  segret_label street.jpg --output out/street
  segret_label photos drive.mp4 --every 10 --min-confidence 0.5

Files are {KNOWN_ENDINGS}
in any case. The output folder:
  labels/      class ids as 8-bit PNG, 255 is unknown; for a video a folder of frames
  confidence/  likewise, 255 is certain
  overlays/    the pictures in the classes' colours: a JPEG for a photo, an MP4 for a video
  classes.yaml names and colours by id"""


@dataclass(frozen=True)
class Source:
    """
    A photo or a video.

    :param name: of its outputs, a path without the ending of a photo.
    """

    path: Path
    name: PurePath


class Labeller:
    """
    Labels one source after another, a frame at a time.

    :param min_confidence: 0..1; less probable pixels are unknown.
    :param every: labels the first of this many frames of a video.
    :param bar: counts the images; its total is that of the sources.
    """

    def __init__(self, segmenter: Segmenter, folder: Path, min_confidence: float, every: int,
                 bar: tqdm) -> None:
        self._segmenter, self._folder, self._bar = segmenter, folder, bar
        self._min_confidence, self._every = min_confidence, every
        self._colors = segmenter.info.labels.color_table()
        self.images = 0
        self.pixels = np.zeros(256, np.int64)  # by label id
        self._confidence = 0.0

    @property
    def mean_confidence(self) -> float:
        """Return the mean over all images, 0..1."""
        return self._confidence / max(self.images, 1)

    def label(self, source: Source) -> None:
        """
        Label a photo, or a video as far as it is readable.

        :raises ValueError: for a damaged source; the frames before the damage are labelled.
        :raises OSError: when a file can't be written.
        """
        if is_video(source.path):
            self._label_video(source)
            return
        shown_rgb = self._label_image(read_image(source.path), str(source.name))
        suffix = '.jpg' if max(shown_rgb.shape) <= LONGEST_JPEG else '.png'
        self._write(OVERLAYS, f'{source.name}{suffix}', cv2.cvtColor(shown_rgb, cv2.COLOR_RGB2BGR))

    def _label_video(self, source: Source) -> None:
        reader = VideoReader(source.path)
        suffix = '' if source.name.suffix.lower() == '.mp4' else '.mp4'
        path = self._folder / OVERLAYS / f'{source.name}{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = VideoWriter(path, reader.fps / self._every)
        try:
            self._bar.total += -(-reader.announced // self._every) - 1
            self._bar.refresh()
            for number, image_rgb in reader.frames(self._every):
                writer.write(self._label_image(image_rgb, f'{source.name}/{number:06d}'))
        finally:
            reader.close()
            writer.close()

    def _label_image(self, image_rgb: np.ndarray, name: str) -> np.ndarray:
        """Write label and confidence of an image, and return its overlay, (H, W, 3) uint8 RGB."""
        result = self._segmenter(image_rgb, self._min_confidence)
        self._write(LABELS, f'{name}.png', result.label)
        self._write(CONFIDENCE, f'{name}.png', result.confidence)
        self.images += 1
        self.pixels += np.bincount(result.label.ravel(), minlength=256)
        self._confidence += float(result.confidence.mean()) / UNKNOWN
        self._bar.update()
        return overlay(image_rgb, result.label, self._colors, OVERLAY_ALPHA)

    def _write(self, kind: str, name: str, pixels: np.ndarray) -> None:
        path = self._folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'xb') as file:
            file.write(cv2.imencode(path.suffix, pixels)[1].tobytes())


def arguments_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(
        prog='segret_label', formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Label photos and videos, and all those in folders.', epilog=EPILOG)
    add = parser.add_argument
    add('paths', type=Path, nargs='+', metavar='PATH', help='photo, video, or folder of them')
    add('--output', type=Path, default=Path('out/labels'), metavar='FOLDER',
        help='folder to fill: new, empty or of an earlier segret_label (default: out/labels)')
    add('--model', type=Path, default=default_model(),
        help='model file (default: the shipped one)')
    add('--device', default='auto', help=f'{DEVICES} (default: auto)')
    add('--min-confidence', type=float, default=0.0, metavar='PROBABILITY',
        help='label less probable pixels unknown')
    add('--every', type=int, default=1, metavar='N', help='label every Nth frame of a video')
    return parser


def label(arguments: argparse.Namespace) -> int:
    """
    Label what a command line names, and return the exit code.

    :raises ValueError: for a model, an option or a folder that can't be used, or when nothing
        could be labelled.
    """
    if arguments.every < 1:
        raise ValueError(f'--every is {arguments.every}: it must be 1 or more')
    if not 0 <= arguments.min_confidence <= 1:
        raise ValueError(f'--min-confidence is {arguments.min_confidence:g}: it must be 0..1')
    sources, missing, left_out = find(arguments.paths)
    if not sources:
        raise ValueError('nothing to label')
    with output_folder(LAYOUT, arguments.output, [*arguments.paths, arguments.model]) as folder, \
            tqdm(desc='label', unit='image', total=len(sources)) as bar:
        segmenter = Segmenter(arguments.model, arguments.device)
        labeller = Labeller(segmenter, folder.made, arguments.min_confidence, arguments.every, bar)
        started_s = time.monotonic()
        failed = missing + label_each(labeller, sources, bar)
        bar.close()
        if not labeller.images:
            raise ValueError('nothing could be labelled')
        write_classes(folder.made / CLASSES, arguments.model, segmenter.info.labels)
    print(summary(labeller, segmenter, time.monotonic() - started_s, left_out))
    print(f'\nto see the result, open {shown(arguments.output)}/{OVERLAYS}')
    if failed:
        print_error(f'{failed} of {len(sources) + missing} inputs could not be labelled '
                    'completely')
    return FAILED if failed else 0


def find(paths: list[Path]) -> tuple[list[Source], int, int]:
    """Return what to label, and how many paths are unusable (printed) and files left out."""
    files, missing, left_out = [], 0, 0
    for path in paths:
        try:
            found, others = files_of(path)
        except (ValueError, OSError) as error:
            print_error(f'{shown(path)}: {error}')
            missing += 1
            continue
        files += found
        left_out += others
    return named(files), missing, left_out


def files_of(path: Path) -> tuple[list[Path], int]:
    """
    Return the photos and videos that a path names, and how many other files it holds.

    :param path: a file, or a folder, which is searched recursively.
    :raises ValueError: for a path that names none; says what would.
    """
    if path.is_dir():
        found = files_in(path, recursive=True)
        files = [file for file in found if is_image(file) or is_video(file)]
        if not files:
            raise ValueError(f'it holds none of {KNOWN_ENDINGS}')
        return files, len(found) - len(files)
    if not os.path.lexists(path):
        raise ValueError('there is no such file or folder')
    if not path.is_file():
        raise ValueError('it is neither a file nor a folder')
    if path.suffix.lower() not in ENDINGS + VIDEO_ENDINGS:
        raise ValueError(f'its name ends in none of {KNOWN_ENDINGS}')
    return [path], 0


def named(files: Iterable[Path]) -> list[Source]:
    """
    Name each file by the shortest end of its path that distinguishes all of them.

    :param files: one that occurs twice counts once.
    """
    by_path: dict[Path, Path] = {}
    for file in files:
        by_path.setdefault(Path(os.path.abspath(file)), file)
    stems = Counter(path.with_suffix('') for path in by_path if not is_video(path))
    names = [path if is_video(path) or stems[path.with_suffix('')] > 1 else path.with_suffix('')
             for path in by_path]
    for length in range(1, max((len(name.parts) for name in names), default=0)):
        ends = [PurePath(*name.parts[-length:]) for name in names]
        if len({str(end).lower() for end in ends}) == len(ends):  # for disks without case
            break
    else:
        ends = [name.relative_to(name.anchor) for name in names]
    return [Source(path, name) for path, name in zip(by_path.values(), ends)]


def is_video(path: Path) -> bool:
    """Return whether a path counts as a video, by its name."""
    return path.suffix.lower() in VIDEO_ENDINGS and not path.name.startswith('.')


def label_each(labeller: Labeller, sources: list[Source], bar: tqdm) -> int:
    """Label all sources; print what is damaged and return how many are."""
    failed = 0
    for source in sources:
        try:
            labeller.label(source)
        except ValueError as error:
            failed += 1
            place = shown(source.path)
            with bar.external_write_mode():
                print_error(str(error) if str(error).startswith(place) else f'{place}: {error}')
    return failed


def write_classes(path: Path, model: Path, labels: LabelSet) -> None:
    """Write names and colours as a label set, which `--labels` of segret_export takes."""
    described = {'name': shown(Path(model.stem)), 'unknown': UNKNOWN, 'classes': [
        {'name': name, 'color': list(color)} for name, color in zip(labels.names, labels.colors)]}
    path.write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True,
                                   default_flow_style=None), encoding='utf-8')


def summary(labeller: Labeller, segmenter: Segmenter, seconds: float, left_out: int) -> str:
    """Return the table for the terminal."""
    shares = labeller.pixels / labeller.pixels.sum()
    names = dict(enumerate(segmenter.info.labels.names))
    top = [number for number in (-shares).argsort(kind='stable')[:TOP_CLASSES]
           if number in names and shares[number]]
    rows = {'images': f'{labeller.images:,}',
            'images per second': f'{labeller.images / seconds:.1f}, '
                                 f'{segmenter.engine.name} on {segmenter.engine.device}',
            'confidence, mean': f'{labeller.mean_confidence:.2%}',
            'unknown': f'{shares[UNKNOWN]:.2%} of the pixels',
            'most frequent classes': ', '.join(f'{names[number]} {shares[number]:.1%}'
                                               for number in top) or 'none'}
    if left_out:
        rows['left out, neither photo nor video'] = f'{left_out:,} files'
    return text_table(rows.items())


def print_error(sentence: str) -> None:
    """Print a line to the error output."""
    print('segret_label:', sentence.replace('\n', '\\n'), file=sys.stderr)


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = arguments_parser().parse_args()
    try:
        return label(arguments)
    except (ValueError, OSError, RuntimeError) as error:
        print_error(str(error))
        return FAILED


if __name__ == '__main__':
    sys.exit(main())
