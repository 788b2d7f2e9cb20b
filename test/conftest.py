# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Models that label, and a ROS domain of the run's own."""

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
from importlib.util import find_spec
import os
from pathlib import Path
import tempfile

from home_folder import HomeFolder
import pytest
from segret_ros.inference import ModelInfo
from segret_ros.labels.label_set import LabelSet

# A machine without one of these runs the other tests.
NEED = {'openvino': ['inference/serving'],
        'rclpy': ['files/test_output_folder.py', 'node', 'offline/bags/test_topic_names.py',
                  'offline/demo', 'offline/evaluation/test_realtime.py',
                  'offline/test_player.py', 'test_launch.py'],
        'torch': ['inference/engines', 'inference/test_confidence.py',
                  'inference/test_labels.py', 'inference/test_model_file.py',
                  'inference/test_segmenter.py', 'inference/serving/test_supervisor.py',
                  'network', 'tools', 'train'],
        'triton': ['gpu/test_torch_on_gpu.py', 'inference/engines/test_kernels.py']}
os.environ.setdefault('TRITON_INTERPRET', '1')  # before anything imports it: this may be no GPU
MISSING = [module for module in NEED if not find_spec(module)]
collect_ignore = [path for module in MISSING for path in NEED[module]]
MODELS = Path(__file__).with_name('models')
INPUT_SIZE = (64, 96)
LABELS = LabelSet(('road', 'car', 'tree'), ((128, 64, 128), (0, 0, 142), (107, 142, 35)))


def pytest_report_header() -> list[str]:
    """Say at the top of a run what it skips."""
    return [f'no {module}: left out {", ".join(NEED[module])}' for module in MISSING]


@contextmanager
def free_domain() -> Iterator[int]:
    """Return a ROS domain, 1..100, that no other run of the tests on this machine has."""
    for number in range(os.getpid(), os.getpid() + 100):
        domain = 1 + number % 100
        lock = Path(tempfile.gettempdir()) / f'segret_ros_{os.getuid()}_domain_{domain}'
        with lock.open('a') as taken:
            try:
                fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
    pytest.exit('all ROS domains of the tests are taken: end other runs')


@pytest.fixture(scope='session', autouse=True)
def own_domain() -> Iterator[None]:
    """Keep this run's nodes apart from all others, on this machine."""
    with free_domain() as domain, pytest.MonkeyPatch.context() as patch:
        if find_spec('rclpy'):  # for the camera's side, see docs/ros2.md
            from segret_ros.node.distribution import PROFILE_VARIABLES, use_large_image_profile
            for name in PROFILE_VARIABLES.values():
                patch.delenv(name, raising=False)
            use_large_image_profile()
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        yield


@pytest.fixture(scope='session', autouse=True)
def own_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep this run's engines apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('SEGRET_ENGINE_CACHE', str(tmp_path_factory.mktemp('engines')))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HomeFolder:
    """Start all processes of a test with an empty home folder."""
    folder = tmp_path / 'home'
    folder.mkdir()
    home = HomeFolder(folder)
    environment = home.environment()
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture(scope='session')
def network():
    """Return a nano SegRet that finds all three classes in most images; do not change it."""
    torch = pytest.importorskip('torch', reason='needs torch')
    from segret_ros.network import SegRet
    torch.manual_seed(0)
    network = SegRet('nano', num_classes=len(LABELS)).eval()
    for level in network.decoder.levels:
        torch.nn.init.normal_(level.residual.weight, std=0.1)
    classify = network.decoder.classify
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, *INPUT_SIZE))[0].flatten(1)  # (classes, cells)
        scale = 1 / logits.std(1)
        classify.weight *= scale[:, None, None, None]
        classify.bias -= logits.mean(1) * scale
    return network


@pytest.fixture(scope='session')
def network_file(network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model file of `network`, for 64 x 96, as segret_export writes it."""
    from segret_train.onnx_model import save_model, to_onnx
    path = tmp_path_factory.mktemp('model') / 'segret_nano_random.onnx'
    info = ModelInfo(labels=LABELS, input_size=INPUT_SIZE, variant='nano',
                     training_data='none: random weights', miou=None, miou_data='',
                     source='the tests')
    save_model(to_onnx(network, INPUT_SIZE), info, path)
    return path


@pytest.fixture(scope='session')
def model_file() -> Path:
    """Return a small model file that labels by colour, for 64 x 96; see small_models.py."""
    return MODELS / 'blocks.onnx'


@pytest.fixture(scope='session')
def wrong_model() -> Path:
    """Return that model with its classes mixed up and a new checksum: a file that looks sound."""
    return MODELS / 'wrong.onnx'


@pytest.fixture(scope='session')
def failing_model() -> Path:
    """Return a sound model file that can't label a black image."""
    return MODELS / 'failing.onnx'
