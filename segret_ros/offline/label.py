# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_label`."""

import argparse
from pathlib import Path
import sys
import time

from segret_ros.command_line import FAILED, Parser
from segret_ros.files.output_folder import Layout, output_folder
from segret_ros.files.share import default_model
from segret_ros.images.image_file import shown
from segret_ros.inference import DEVICES, Segmenter
from segret_ros.labels.label_set import LabelSet, UNKNOWN
from segret_ros.offline.label_sources import files_of, known_endings, named, Source, SourceError
from segret_ros.offline.labeller import CONFIDENCE, Labeller, LABELS, OVERLAYS
from tqdm import tqdm
import yaml

CLASSES = 'classes.yaml'
LAYOUT = Layout('segret_label', (f'{LABELS}/**', f'{CONFIDENCE}/**', f'{OVERLAYS}/**', CLASSES))
TOP_CLASSES = 5  # that the summary lists
EPILOG = f"""examples:
  segret_label street.jpg --output out/street
  segret_label photos drive.mp4 --every 10 --min-confidence 0.5

Files are {known_endings()}
in any case. What the folder holds afterwards:
  labels/      class ids as PNG of 8 bits, 255 is unknown; of a video a folder of frames
  confidence/  likewise, 255 is certain
  overlays/    the pictures with the classes' colours, a JPEG of a photo and an MP4 of a video
  classes.yaml names and colours by id"""


class LabellingError(ValueError):
    """A command line that labels nothing; names the value and the rule."""


def arguments_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(
        prog='segret_label', formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Label photos and videos, and all of those in folders.', epilog=EPILOG)
    add = parser.add_argument
    add('paths', type=Path, nargs='+', metavar='PATH', help='photo, video, or folder of them')
    add('--output', type=Path, default=Path('out/labels'), metavar='FOLDER',
        help='folder to fill: new, empty or of an earlier segret_label (default: out/labels)')
    add('--model', type=Path, default=default_model(),
        help='model file (default: the shipped one)')
    add('--device', default='auto', help=f'{DEVICES} (default: auto)')
    add('--min-confidence', type=float, default=0.0, metavar='PROBABILITY',
        help='less probable pixels are unknown')
    add('--every', type=int, default=1, metavar='N',
        help='of a video, take the first of N frames')
    return parser


def label(arguments: argparse.Namespace) -> int:
    """
    Label what a command line names, and return the exit code.

    :raises ValueError: for a model, an option or a folder that can't be used, or when nothing
        could be labelled.
    """
    if arguments.every < 1:
        raise LabellingError(f'--every is {arguments.every}: it must be 1 or more')
    if not 0 <= arguments.min_confidence <= 1:
        raise LabellingError(f'--min-confidence is {arguments.min_confidence:g}: it must be 0..1')
    sources, missing, left_out = find(arguments.paths)
    if not sources:
        raise LabellingError('nothing to label')
    with output_folder(LAYOUT, arguments.output, [*arguments.paths, arguments.model]) as folder, \
            tqdm(desc='label', unit='image', total=0) as bar:
        segmenter = Segmenter(arguments.model, arguments.device)
        labeller = Labeller(segmenter, folder.made, arguments.min_confidence, arguments.every,
                            bar.update)
        begun = time.monotonic()
        failed = missing + label_each(labeller, sources, bar)
        bar.close()
        if not labeller.images:
            raise LabellingError('nothing could be labelled')
        write_classes(folder.made / CLASSES, arguments.model, segmenter.info.labels)
    print(summary(labeller, segmenter, time.monotonic() - begun))
    if left_out:
        print(f'{"left out, neither photo nor video":<34} {left_out:,} files')
    print(f'\n{shown(arguments.output)}/{OVERLAYS} shows it')
    if failed:
        tell(f'{failed} of {len(sources) + missing} inputs could not be labelled, or not wholly')
    return FAILED if failed else 0


def find(paths: list[Path]) -> tuple[list[Source], int, int]:
    """Return what to label, how many paths named nothing, which is told, and files left out."""
    files, missing, left_out = [], 0, 0
    for path in paths:
        try:
            found, others = files_of(path)
        except (SourceError, OSError) as error:
            tell(f'{shown(path)}: {error}')
            missing += 1
            continue
        files += found
        left_out += others
    return named(files), missing, left_out


def label_each(labeller: Labeller, sources: list[Source], bar: tqdm) -> int:
    """Label all sources, and return how many are damaged, which is told."""
    failed = 0
    bar.total = len(sources)

    def expect(images: int) -> None:
        bar.total += images - 1
        bar.refresh()

    for source in sources:
        try:
            labeller.label(source, expect)
        except ValueError as error:
            failed += 1
            place = shown(source.path)
            with bar.external_write_mode():
                tell(str(error) if str(error).startswith(place) else f'{place}: {error}')
    return failed


def write_classes(path: Path, model: Path, labels: LabelSet) -> None:
    """Write names and colours as a label set, which `--labels` of segret_export takes."""
    described = {'name': shown(Path(model.stem)), 'unknown': UNKNOWN, 'classes': [
        {'name': name, 'color': list(color)} for name, color in zip(labels.names, labels.colors)]}
    path.write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True,
                                   default_flow_style=None), encoding='utf-8')


def summary(labeller: Labeller, segmenter: Segmenter, seconds: float) -> str:
    """Return the table that the terminal shows."""
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
    return '\n'.join(f'{name:<34} {value}' for name, value in rows.items())


def tell(sentence: str) -> None:
    """Write a line to the error output."""
    print('segret_label:', sentence.replace('\n', '\\n'), file=sys.stderr)


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = arguments_parser().parse_args()
    try:
        return label(arguments)
    except (ValueError, OSError, RuntimeError) as error:
        tell(str(error))
        return FAILED


if __name__ == '__main__':
    sys.exit(main())
