# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The node leaves its home folder alone, but for the engine cache, and looks up no host."""

from importlib.util import find_spec
from pathlib import Path

from home_folder import HomeFolder
from live_node import Peer, running_node, street_image
from sensor_msgs.msg import Image

ENGINES = Path('.cache/segret_ros/engines')


def test_a_node_leaves_no_trace(home: HomeFolder, peer: Peer, model_file: Path,
                                tmp_path: Path) -> None:
    device = 'openvino' if find_spec('openvino') else 'cpu'
    label, camera = peer.listen(Image, '/segmentation/label'), peer.advertise(Image, '/image')
    with running_node(tmp_path, model=str(model_file), device=device):
        peer.connect(camera, street_image, label)
    assert home.lookups() == []
    assert home.files() and all(ENGINES in path.parents for path in home.files())
