# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Write the sample drive, a bag of CamVid's val split."""

import argparse
from pathlib import Path
import shutil

import cv2
import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.offline.bags import BagWriter, serialize, TYPESTORE
from segret_ros.offline.label_names import CLASSES
from segret_train.datasets import open_data_set, Sample
from tqdm import tqdm

VIDEO_HZ = 30  # of the recording whose frame numbers are in the file names
FRAME_ID = 'camera_optical'
# CamVid's calibration is not published; a pinhole of this horizontal view comes close.
FIELD_OF_VIEW_DEGREES = 50

Header = TYPESTORE.types['std_msgs/msg/Header']
Time = TYPESTORE.types['builtin_interfaces/msg/Time']
CompressedImage = TYPESTORE.types['sensor_msgs/msg/CompressedImage']
CameraInfo = TYPESTORE.types['sensor_msgs/msg/CameraInfo']
RegionOfInterest = TYPESTORE.types['sensor_msgs/msg/RegionOfInterest']


def write_drive(samples: list[Sample], bag: Path) -> None:
    """
    Write frames, labels and camera info as a bag, stamped by the frames' numbers.

    :param bag: folder of the MCAP bag, which must not exist yet.
    """
    with BagWriter(bag) as writer:
        for sample in tqdm(samples, unit='frame'):
            number = int(sample.name.rsplit('_', 1)[1])
            time_ns = number * 1_000_000_000 // VIDEO_HZ
            header = Header(stamp=Time(*divmod(time_ns, 1_000_000_000)), frame_id=FRAME_ID)
            label_png = cv2.imencode('.png', sample.label(), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
            for topic, message in (
                    ('/camera/camera_info', camera_info(header, *sample.label().shape)),
                    ('/camera/image_raw/compressed', CompressedImage(
                        header, 'jpeg', np.fromfile(sample.image_path, np.uint8))),
                    ('/camera/label/compressed', CompressedImage(header, 'png', label_png))):
                writer.write(serialize(topic, time_ns, message))
    shutil.copy(share_directory() / 'config' / 'label_sets' / 'camvid.yaml', bag / CLASSES)


def camera_info(header, height: int, width: int):
    """Return the camera info of a pinhole without distortion."""
    focal = width / 2 / np.tan(np.radians(FIELD_OF_VIEW_DEGREES / 2))
    k = np.array([focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1])
    p = np.insert(k.reshape(3, 3), 3, 0, axis=1).ravel()
    return CameraInfo(header=header, height=height, width=width, distortion_model='plumb_bob',
                      d=np.zeros(5), k=k, r=np.eye(3).ravel(), p=p, binning_x=0, binning_y=0,
                      roi=RegionOfInterest(0, 0, 0, 0, False))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Write CamVid's val drive as an MCAP bag: camera (JPEG), label (PNG of class "
                    'ids, 255 unknown) and camera info at 15 Hz; stamps count from its start.')
    parser.add_argument('--data', type=Path, required=True, help='folder of CamVid')
    parser.add_argument('--output', type=Path, default=Path('data/sample_drive'),
                        help='folder of the bag, which must not exist yet (default: %(default)s)')
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f'{arguments.output} exists: move it away')
    write_drive(open_data_set('camvid', arguments.data).samples('val'), arguments.output)


if __name__ == '__main__':
    main()
