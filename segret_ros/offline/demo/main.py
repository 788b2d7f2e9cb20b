# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_demo`."""

from collections import Counter
from pathlib import Path
import sys

from segret_ros.command_line import FAILED, Parser
from segret_ros.errors import printable
from segret_ros.files.output_folder import Layout, output_folder
from segret_ros.files.share import default_model, share_directory
from segret_ros.inference import DEVICES, Model, ModelInfo
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.bags import Bag, BagWriter, open_bag
from segret_ros.offline.bags.cameras import bag_cameras, CameraTopic, remarks
from segret_ros.offline.demo.drive import (
    DrivePictures,
    labelled_frames,
    open_true_labels,
    true_label_topic,
)
from segret_ros.offline.demo.summary import (
    loss_notes,
    summarise,
    Summary,
    truth_notes,
    write_report,
)
from segret_ros.offline.evaluation.truth import Truth
from segret_ros.offline.node_process import (
    isolate,
    node_arguments,
    node_process,
    NodeError,
    played_topics,
)
from segret_ros.offline.player import OUTPUTS, Player
from segret_ros.text_table import text_table
from tqdm import tqdm

LAYOUT = Layout(
    'segret_demo', ('overlays/*.jpg', 'result/metadata.yaml', 'result/result.mcap', 'report.html',
                    '*contact_sheet.png', '*frame_????.png', 'node.log'),
    signatures=(frozenset({'report.html', 'result/metadata.yaml', 'result/result.mcap',
                           'node.log'}),),
    live=frozenset({'node.log'}))


def demo(model: Path, device: str, bag: Path, topics: list[str], output: Path) -> Summary:
    """
    Run the node on a drive and leave a bag, pictures and a report.

    :param topics: of the cameras to play; an empty list takes all.
    :param output: folder; what an earlier demo left there is replaced.
    :raises OutputError: for a folder that holds something else than an earlier demo.
    """
    info = Model.load(model).info
    with open_bag(bag) as drive:
        cameras = bag_cameras(drive, topics)
        arguments = node_arguments(model, device, cameras)
        with output_folder(LAYOUT, output, [bag, model]) as folder:
            player, memory_mb = play(drive, cameras, arguments, folder.made / 'result',
                                     output / 'node.log')
            truths, notes = open_true_labels(folder.made / 'result', cameras, info, bag)
            confusion, books, matched = picture(player, cameras, info, folder.made, truths)
            notes += [*truth_notes(matched), *loss_notes(player.logs.values(), drive.damage),
                      *(f'{remark}.' for remark in remarks(drive, cameras))]
            summary = summarise(player, memory_mb, confusion, notes)
            write_report(folder.made / 'report.html', printable(bag.resolve().name), summary, info,
                         player.engine, books)
    return summary


def picture(player: Player, cameras: list[CameraTopic], info: ModelInfo, folder: Path,
            truths: dict[str, Truth]
            ) -> tuple[ConfusionMatrix, list[DrivePictures], Counter[str]]:
    """
    Write the pictures of the drive that was played.

    :param folder: with its bag, `result`.
    :param truths: the true labels of cameras that have any.
    :return: the labels compared with the drive's, the pictures of each camera, and how the true
        labels of the frames were found.
    """
    (folder / 'overlays').mkdir()
    confusion, books, matched = ConfusionMatrix(len(info.labels)), [], Counter[str]()
    with open_bag(folder / 'result') as result:
        for camera in cameras:
            book = DrivePictures(folder, camera.name if len(cameras) > 1 else '',
                                 len(player.logs[camera.topic].answers), info.labels)
            books.append(book)
            for frame in labelled_frames(result, camera, truths.get(camera.topic)):
                book.add(frame)
                matched[frame.truth] += 1
                if frame.true_label is not None:
                    confusion.add(frame.true_label, frame.label)
            book.write_contact_sheet()
    return confusion, books, matched


def play(drive: Bag, cameras: list[CameraTopic], arguments: list[str], result: Path,
         log: Path) -> tuple[Player, float]:
    """
    Play a drive to the node, and record it with the node's output in one bag.

    :param log: file for what the node prints.
    :return: the player with its logs, and the node's peak memory in MB.
    """
    isolate()
    true_labels = [true_label_topic(camera, drive.topics) for camera in cameras]
    messages = drive.messages([*played_topics(cameras), *filter(None, true_labels)])
    with BagWriter(result) as writer, \
            Player(cameras, OUTPUTS, waits=True, on_message=writer.write) as player, \
            node_process(arguments, log) as node, \
            tqdm(desc='drive', unit='frame') as bar:
        player.play(messages, node, bar.update)
        return player, node.peak_memory_mb()


def main() -> int:
    """Run the command line and return its exit code."""
    parser = Parser(
        prog='segret_demo', description='Replay a recorded drive through the node over DDS, and '
        'write a bag with the labels, pictures and a report.')
    parser.add_argument('--model', type=Path, default=default_model(),
                        help='model file (default: the shipped one)')
    parser.add_argument('--device', default='auto', help=f'{DEVICES} (default: auto)')
    parser.add_argument('--bag', type=Path, default=share_directory() / 'data' / 'sample_drive',
                        help='recorded drive; cameras are found by the type of their topics '
                             '(default: the sample drive)')
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='image topics to play (default: all)')
    parser.add_argument('--output', type=Path, default=Path('out/demo'),
                        help='folder to write: new, empty or of an earlier demo (default: '
                             'out/demo)')
    arguments = parser.parse_args()
    try:
        summary = demo(arguments.model, arguments.device, arguments.bag, arguments.topics,
                       arguments.output)
    except (ValueError, OSError, NodeError) as error:
        print(f'segret_demo: {error}', file=sys.stderr)
        return FAILED
    print(text_table(summary.rows().items()))
    print(*(f'\n{note}' for note in summary.notes), sep='\n', end='\n' if summary.notes else '')
    print(f'\n{arguments.output}/report.html shows the results; result/ is the bag, overlays/ the '
          'frames')
    if summary.frames_in != summary.frames_out:
        print(f'segret_demo: {summary.dropped} of {summary.frames_in} frames have no label; '
              f'for causes not listed above see {arguments.output / "node.log"}', file=sys.stderr)
        return FAILED
    return 0


if __name__ == '__main__':
    sys.exit(main())
