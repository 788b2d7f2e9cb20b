"""The command `segret_demo`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
import sys

import numpy as np
from segret_ros.bags import Bag, BagError, BagWriter, open_bag
from segret_ros.bags.cameras import bag_cameras, CameraTopic
from segret_ros.command_line import FAILED, Parser
from segret_ros.demo.drive_pictures import DrivePictures
from segret_ros.demo.frames import labelled_frames, true_label_topic
from segret_ros.demo.report import write_report
from segret_ros.inference import DEVICES, ModelError, ModelInfo, read_model_info
from segret_ros.metrics import ConfusionMatrix, MetricError
from segret_ros.output_folder import Layout, output_folder, OutputError
from segret_ros.replay.node_process import (
    isolate, node_arguments, node_process, NodeError, played_topics)
from segret_ros.replay.player import OUTPUTS, Player, rate_hz
from segret_ros.share import default_model, share_directory
from tqdm import tqdm

LAYOUT = Layout(
    'segret_demo', ('overlays/*.jpg', 'result/metadata.yaml', 'result/result.mcap', 'report.html',
                    '*contact_sheet.png', '*frame_????.png', 'node.log'),
    signatures=(frozenset({'report.html', 'result/metadata.yaml', 'result/result.mcap',
                           'node.log'}),),
    live=frozenset({'node.log'}))


@dataclass(frozen=True)
class Summary:
    """
    The demo's numbers, of all cameras together.

    :param start_s: from the node's start to the first label.
    :param memory_mb: peak of the node's process.
    :param confusion: of the node's labels against the drive's, empty where it has none.
    """

    frames_in: int
    frames_out: int
    dropped: int
    latency_median_ms: float
    latency_p99_ms: float
    rate_hz: float
    start_s: float
    memory_mb: float
    confusion: ConfusionMatrix

    def rows(self) -> dict[str, str]:
        """Give the table that the terminal and the report show."""
        rows = {
            'frames in / out / dropped': f'{self.frames_in} / {self.frames_out} / {self.dropped}',
            'frames per second': f'{self.rate_hz:.1f}',
            'latency, camera to label': f'median {self.latency_median_ms:.0f} ms, '
                                        f'p99 {self.latency_p99_ms:.0f} ms',
            'start to first label': f'{self.start_s:.1f} s',
            'memory of the node': f'{self.memory_mb:.0f} MB',
        }
        if self.confusion.counts.any():
            rows |= {"mean IoU against the drive's labels": f'{self.confusion.mean_iou():.1%}',
                     'pixel accuracy': f'{self.confusion.pixel_accuracy():.1%}'}
        return rows


def demo(model: Path, device: str, bag: Path, topics: list[str], output: Path) -> Summary:
    """
    Run the node on a drive and leave a bag, pictures and a report.

    :param topics: of the cameras to play; an empty list takes all.
    :param output: folder; what an earlier demo left there is replaced.
    :raises OutputError: for a folder that is not the demo's to fill.
    """
    info = read_model_info(model)
    with open_bag(bag) as drive:
        cameras = bag_cameras(drive, topics)
        arguments = node_arguments(model, device, cameras)
        with output_folder(LAYOUT, output, [bag, model]) as folder:
            player, memory_mb = play(drive, cameras, arguments, folder.made / 'result',
                                     output / 'node.log')
            confusion, pictures = picture(player, cameras, info, folder.made)
            summary = summarise(player, memory_mb, confusion)
            write_report(folder.made / 'report.html', bag.resolve().name, summary.rows(),
                         confusion, info, pictures)
    return summary


def picture(player: Player, cameras: list[CameraTopic], info: ModelInfo,
            folder: Path) -> tuple[ConfusionMatrix, dict[str, bytes]]:
    """
    Picture the drive that was played.

    :param folder: with its bag, `result`.
    :return: the labels against the drive's, and the pictures of the report by file name.
    """
    (folder / 'overlays').mkdir()
    confusion, pictures = ConfusionMatrix(len(info.labels)), {}
    with open_bag(folder / 'result') as result:
        for camera in cameras:
            book = DrivePictures(folder, picture_prefix(camera, cameras),
                                 len(player.logs[camera.topic].answers), info.labels)
            for frame in labelled_frames(result, camera):
                book.add(frame)
                if frame.true_label is not None:
                    confusion.add(frame.true_label, frame.label)
            pictures |= book.write()
    return confusion, pictures


def play(drive: Bag, cameras: list[CameraTopic], arguments: list[str], result: Path,
         log: Path) -> tuple[Player, float]:
    """
    Play a drive to the node, and write it with the node's answers as one bag.

    :param arguments: of the node.
    :param result: the bag's folder.
    :param log: gets what the node prints.
    :return: the player with what it logged, and the node's peak memory in MB.
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


def picture_prefix(camera: CameraTopic, cameras: list[CameraTopic]) -> str:
    """Give how the files of a camera's pictures begin: with its name, where there are several."""
    return f'{camera.name.replace("/", "_") or "camera"}_' if len(cameras) > 1 else ''


def summarise(player: Player, memory_mb: float, confusion: ConfusionMatrix) -> Summary:
    """Give the numbers of a drive that was played."""
    answers = [answer for log in player.logs.values() for answer in log.answers]
    latencies = [answer.latency_ms for answer in answers] or [float('nan')]
    frames = sum(log.frames for log in player.logs.values())
    first_s = min((answer.arrived_s for answer in answers), default=float('nan'))
    return Summary(
        frames_in=frames, frames_out=len(answers), dropped=frames - len(answers),
        latency_median_ms=float(np.median(latencies)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        rate_hz=rate_hz(player.logs.values()), start_s=first_s - player.started_s,
        memory_mb=memory_mb, confusion=confusion)


def main() -> int:
    """Run the command line; give its exit code."""
    parser = Parser(
        prog='segret_demo', formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Play a drive to the real node over DDS and leave a bag of its labels, '
                    'pictures and a report.')
    parser.add_argument('--model', type=Path, default=default_model(), help='model file')
    parser.add_argument('--device', default='auto', help=DEVICES)
    parser.add_argument('--bag', type=Path, default=share_directory() / 'data' / 'sample_drive',
                        help='recorded drive; its cameras are found by their type')
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='cameras to play, where not all are wanted')
    parser.add_argument('--output', type=Path, default=Path('out/demo'),
                        help='folder to fill: new, empty or of an earlier demo')
    arguments = parser.parse_args()
    try:
        summary = demo(arguments.model, arguments.device, arguments.bag, arguments.topics,
                       arguments.output)
    except (BagError, MetricError, ModelError, NodeError, OSError,
            OutputError) as error:
        print(f'segret_demo: {error}', file=sys.stderr)
        return FAILED
    for name, value in summary.rows().items():
        print(f'{name:<38} {value}')
    print(f'\n{arguments.output}/report.html shows it; result/ is the bag, overlays/ the frames')
    if summary.frames_in != summary.frames_out:
        print(f'segret_demo: {summary.dropped} frames were never answered: read '
              f'{arguments.output / "node.log"}', file=sys.stderr)
        return FAILED
    return 0


if __name__ == '__main__':
    sys.exit(main())
