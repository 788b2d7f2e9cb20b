"""The command `segret_demo`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
import shutil
import sys

import numpy as np
from segret_ros.bags import BagError, BagWriter, decode_label, read_bag, Recorded, stamp_ns
from segret_ros.demo.node_process import isolate, node_process, NodeError, peak_memory_mb
from segret_ros.demo.player import Playback, Player
from segret_ros.demo.report import write_report
from segret_ros.image_codec import decode_compressed
from segret_ros.inference import DeviceError, DEVICES, ModelError, ModelInfo, read_model_info
from segret_ros.metrics import ConfusionMatrix
from segret_ros.node.parameters import Parameters
from segret_ros.reporting.pictures import contact_sheet, encode, frame_panels, side_by_side
from segret_ros.share import default_model, share_directory
from tqdm import tqdm

NAMESPACE = '/camera'
IMAGE, CAMERA_INFO = f'{NAMESPACE}/image_raw/compressed', f'{NAMESPACE}/camera_info'
TRUE_LABEL, LABEL = f'{NAMESPACE}/label/compressed', f'{NAMESPACE}/segmentation/label'
SHEET_FRAMES = 12
PANEL_FRAMES = 4


@dataclass(frozen=True)
class Summary:
    """
    The demo's numbers.

    :param start_s: from the node's start to the first label.
    :param memory_mb: peak of the node's process.
    :param confusion: of the node's labels against the drive's.
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
        return {
            'frames in / out / dropped': f'{self.frames_in} / {self.frames_out} / {self.dropped}',
            'frames per second': f'{self.rate_hz:.1f}',
            'latency, camera to label': f'median {self.latency_median_ms:.0f} ms, '
                                        f'p99 {self.latency_p99_ms:.0f} ms',
            'start to first label': f'{self.start_s:.1f} s',
            'memory of the node': f'{self.memory_mb:.0f} MB',
            "mean IoU against the drive's labels": f'{self.confusion.mean_iou():.1%}',
            'pixel accuracy': f'{self.confusion.pixel_accuracy():.1%}',
        }


def demo(model: Path, device: str, bag: Path, output: Path) -> Summary:
    """
    Run the node on a drive and leave a bag, pictures and a report.

    :param bag: with the topics of the sample drive.
    :param output: folder; what an earlier demo left there is replaced.
    """
    info = read_model_info(model)
    drive = list(read_bag(bag, [IMAGE, CAMERA_INFO, TRUE_LABEL]))
    if output.exists():
        shutil.rmtree(output)
    output.mkdir(parents=True)
    playback, memory_mb = play(model, device, drive, output / 'node.log')
    write_result(output / 'result', drive, playback)
    labels = {stamp_ns(message.header): message for message in (
        recorded.message() for recorded in playback.outputs if recorded.topic == LABEL)}
    label_images = {stamp: message.data.reshape(message.height, message.width)
                    for stamp, message in labels.items()}
    summary = summarise(playback, memory_mb, score(drive, label_images, info))
    pictures = write_pictures(output, drive, label_images, info)
    write_report(output / 'report.html', summary.rows(), summary.confusion, info, pictures)
    return summary


def play(model: Path, device: str, drive: list[Recorded],
         log: Path) -> tuple[Playback, float]:
    """Give what the node answers to a drive, and its peak memory in MB."""
    isolate()
    camera = [recorded for recorded in drive if recorded.topic != TRUE_LABEL]
    frames = sum(recorded.topic == IMAGE for recorded in camera)
    parameters = {'model': str(model.resolve()), 'device': device, 'use_sim_time': 'true',
                  'image_transport': 'compressed'}
    with Player(NAMESPACE) as player, node_process(
            parameters, {'__ns': NAMESPACE, 'image/compressed': IMAGE}, log) as process, \
            tqdm(total=frames, desc='drive', unit='frame') as bar:
        return player.play(camera, process, bar.update), peak_memory_mb(process)


def write_result(path: Path, drive: list[Recorded], playback: Playback) -> None:
    """Write the drive and the node's answers as one bag, in order of time."""
    with BagWriter(path) as writer:
        for recorded in sorted([*drive, *playback.outputs], key=lambda item: item.time_ns):
            writer.write(recorded)


def score(drive: list[Recorded], labels: dict[int, np.ndarray],
          info: ModelInfo) -> ConfusionMatrix:
    """Give the confusion of labels against the drive's, matched by stamp."""
    confusion = ConfusionMatrix(len(info.labels))
    for stamp, message in messages_by_stamp(drive, TRUE_LABEL).items():
        if stamp in labels:
            confusion.add(decode_label(message), labels[stamp])
    return confusion


def summarise(playback: Playback, memory_mb: float, confusion: ConfusionMatrix) -> Summary:
    """Give the numbers of a playback."""
    latencies = playback.latencies_ms or [float('nan')]
    duration_s = max(playback.answered_s.values(), default=0) - min(playback.sent_s.values())
    return Summary(
        frames_in=len(playback.sent_s), frames_out=len(playback.answered_s),
        dropped=playback.dropped, latency_median_ms=float(np.median(latencies)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        rate_hz=len(playback.answered_s) / duration_s if duration_s > 0 else 0.0,
        start_s=playback.start_s, memory_mb=memory_mb, confusion=confusion)


def write_pictures(output: Path, drive: list[Recorded], labels: dict[int, np.ndarray],
                   info: ModelInfo) -> dict[str, bytes]:
    """
    Write an overlay of every frame, and of some a contact sheet and comparisons.

    :return: the contact sheet's and the comparisons' files by name.
    """
    images = messages_by_stamp(drive, IMAGE)
    true_labels = messages_by_stamp(drive, TRUE_LABEL)
    stamps = sorted(images.keys() & labels.keys())
    (output / 'overlays').mkdir()
    overlays, pictures = {}, {}
    for index, stamp in enumerate(stamps):
        true_label = decode_label(true_labels[stamp]) if stamp in true_labels else None
        panels = frame_panels(decode_compressed(images[stamp], Parameters.max_pixels),
                              labels[stamp], true_label, info.labels)
        caption = f'{(stamp - stamps[0]) / 1e9:.2f} s'
        (output / 'overlays' / f'{index:04d}.jpg').write_bytes(encode(panels['overlay'], '.jpg'))
        if index % -(-len(stamps) // SHEET_FRAMES) == 0:
            overlays[caption] = panels['overlay']
        if index % -(-len(stamps) // PANEL_FRAMES) == 0:
            pictures[f'frame_{index:04d}.png'] = encode(side_by_side(panels, info.labels), '.png')
    if overlays:
        sheet = encode(contact_sheet(overlays, info.labels, columns=4), '.png')
        pictures = {'contact_sheet.png': sheet, **pictures}
    for name, content in pictures.items():
        (output / name).write_bytes(content)
    return pictures


def messages_by_stamp(drive: list[Recorded], topic: str) -> dict[int, object]:
    """Give a topic's messages by their header's stamp in ns."""
    messages = (recorded.message() for recorded in drive if recorded.topic == topic)
    return {stamp_ns(message.header): message for message in messages}


def main() -> int:
    """Run the command line; give its exit code."""
    parser = argparse.ArgumentParser(
        prog='segret_demo', formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Play a drive to the real node over DDS and leave a bag of its labels, '
                    'pictures and a report.')
    parser.add_argument('--model', type=Path, default=default_model(), help='model file')
    parser.add_argument('--device', default='auto', help=DEVICES)
    parser.add_argument('--bag', type=Path, default=share_directory() / 'data' / 'sample_drive',
                        help=f'drive with {IMAGE}, {CAMERA_INFO} and {TRUE_LABEL}')
    parser.add_argument('--output', type=Path, default=Path('out/demo'),
                        help='folder to fill; what is there is replaced')
    arguments = parser.parse_args()
    try:
        summary = demo(arguments.model, arguments.device, arguments.bag, arguments.output)
    except (BagError, DeviceError, ModelError, NodeError, OSError) as error:
        print(f'segret_demo: {error}', file=sys.stderr)
        return 1
    for name, value in summary.rows().items():
        print(f'{name:<38} {value}')
    print(f'\n{arguments.output}/report.html shows it; result/ is the bag, overlays/ the frames')
    if summary.frames_in != summary.frames_out:
        print(f'segret_demo: {summary.dropped} frames were never answered: read '
              f'{arguments.output / "node.log"}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
