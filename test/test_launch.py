# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The installed launch files: what they start, and that an image sent to the node is labelled."""

import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import time

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
import cv2
from lifecycle_msgs.srv import GetState
import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile
from segret_ros.files.share import default_model, share_directory
from segret_ros.labels.label_set import load_label_set
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from waiting import wait_for
import yaml

WHY = 'needs the launch packages of a ROS 2 installation'
# The folder launch/ of this package can pass for `launch` itself, hence first one of its modules.
pytest.importorskip('launch.actions', reason=WHY)
launch = pytest.importorskip('launch', reason=WHY)
launch_pytest = pytest.importorskip('launch_pytest', reason=WHY)
ros_actions = pytest.importorskip('launch_ros.actions', reason=WHY)

try:
    LAUNCH = Path(get_package_share_directory('segret_ros')) / 'launch'
except (PackageNotFoundError, OSError):
    pytest.skip('needs segret_ros built by colcon and its setup file sourced',
                allow_module_level=True)

START_S = 30  # a cold start on a busy machine; 3 s are usual
HEIGHT, WIDTH = 45, 61


class Observer:
    """A node of the test's own beside the launched ones."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('observer', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def collect(self, kind: type, topic: str, qos: QoSProfile | int = 5) -> list:
        """Subscribe to a topic and return the list that its messages fill."""
        messages = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def call(self, kind: type, name: str, request: object) -> object:
        """Return the response of a service, or None if it does not come in time."""
        client = self.node.create_client(kind, name)
        try:
            if not client.wait_for_service(timeout_sec=START_S):
                return None
            future = client.call_async(request)
            self.executor.spin_until_future_complete(future, timeout_sec=5.0)
            return future.result()
        finally:
            self.node.destroy_client(client)

    def wait_until_active(self, name: str) -> None:
        """Wait until a lifecycle node is active."""
        def is_active() -> bool:
            response = self.call(GetState, f'{name}/get_state', GetState.Request())
            return response is not None and response.current_state.label == 'active'

        wait_for(is_active, f'the active node {name}', START_S)

    def parameters(self, name: str, wanted: list[str]) -> dict[str, object]:
        """Return parameters of a node."""
        response = self.call(GetParameters, f'{name}/get_parameters',
                             GetParameters.Request(names=wanted))
        return dict(zip(wanted, map(parameter_value_to_python, response.values)))

    def send_until(self, publications: list[tuple], *received: list) -> None:
        """Publish the (publisher, message) pairs 10 times a second until every list has one."""
        def publish_and_receive() -> None:
            for publisher, message in publications:
                publisher.publish(message)
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                self.executor.spin_once(timeout_sec=0.02)

        wait_for(lambda: all(received), 'messages', START_S, publish_and_receive)


@pytest.fixture(scope='module', autouse=True)
def own_domain():
    """Keep the launched nodes apart from all others, on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
        yield


@pytest.fixture
def observer():
    """Yield a node for one test."""
    made = Observer()
    yield made
    made.close()


def picture() -> np.ndarray:
    """Return (HEIGHT, WIDTH, 3) uint8 pixels."""
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def stamped(message: object) -> object:
    """Return the message with a frame and with a stamp that no clock of this machine shows."""
    message.header.frame_id = 'optical'
    message.header.stamp.sec, message.header.stamp.nanosec = 1700000000, 123456789
    return message


def started(**arguments: str) -> tuple['launch.LaunchDescription', list[int]]:
    """Return segret.launch.py with arguments, and where the node's exit code will be."""
    exit_codes = []
    source = launch.launch_description_sources.PythonLaunchDescriptionSource(
        str(LAUNCH / 'segret.launch.py'))
    ended = launch.event_handlers.OnProcessExit(
        on_exit=lambda event, context: exit_codes.append(event.returncode))
    return launch.LaunchDescription([
        launch.actions.RegisterEventHandler(ended),
        launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments.items()),
        launch_pytest.actions.ReadyToTest()]), exit_codes


@pytest.fixture
def model_file(tmp_path):
    """Return a model file of the user's own; made without torch, which is not there with ROS 2."""
    return Path(shutil.copy(default_model(), tmp_path / 'own.onnx'))


@launch_pytest.fixture
def one_camera():
    """Start the node in a namespace on one raw camera, with the model of the package."""
    return started(device='cpu', image='/drive/image_raw', namespace='car', name='eyes')


@launch_pytest.fixture
def two_cameras(model_file, tmp_path):
    """Start the node on two compressed cameras, with a parameter file of the user's own."""
    file = tmp_path / 'own.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': {
        'model': str(model_file), 'device': 'cpu', 'overlay_alpha': 0.25}}}))
    return started(params_file=str(file), cameras='front, rear',
                   image='/{camera}/image_raw', image_transport='compressed', log_level='warn')


@launch_pytest.fixture
def respawned():
    """Start a node that is started anew, and note the process ids."""
    description, _ = started(device='cpu', respawn='true')
    process_ids = []
    begun = launch.event_handlers.OnProcessStart(
        on_start=lambda event, context: process_ids.append(event.pid))
    description.entities.insert(0, launch.actions.RegisterEventHandler(begun))
    return description, process_ids


@pytest.mark.launch(fixture=respawned)
def test_a_node_that_died_is_started_anew(observer, respawned):
    """With respawn:=true a second process becomes active."""
    _, process_ids = respawned
    observer.wait_until_active('/segret')
    os.kill(process_ids[0], signal.SIGKILL)
    wait_for(lambda: len(process_ids) > 1, 'a second process', START_S)
    observer.wait_until_active('/segret')


@pytest.mark.launch(fixture=one_camera)
def test_labels_the_image_of_the_remapped_topic(observer, one_camera):
    """An image and a camera_info on the camera's own names come back with the labels."""
    _, exit_codes = one_camera
    labels = observer.collect(Image, '/car/segmentation/label')
    infos = observer.collect(CameraInfo, '/car/segmentation/camera_info')
    observer.wait_until_active('/car/eyes')
    image = stamped(Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=WIDTH * 3,
                          data=picture().tobytes()))
    info = stamped(CameraInfo(height=HEIGHT, width=WIDTH))
    observer.send_until(
        [(observer.node.create_publisher(CameraInfo, '/drive/camera_info', 1), info),
         (observer.node.create_publisher(Image, '/drive/image_raw', 1), image)], labels, infos)
    assert labels[0].header == image.header
    assert (labels[0].height, labels[0].width) == (HEIGHT, WIDTH)
    assert (labels[0].encoding, labels[0].step, len(labels[0].data)) == (
        'mono8', WIDTH, HEIGHT * WIDTH)
    assert infos[0].header == info.header
    yield  # here the launch system sends SIGINT
    assert exit_codes == [0]


@pytest.mark.launch(fixture=one_camera)
def test_latches_the_meaning_of_the_labels(observer):
    """Who subscribes late still gets the class names."""
    messages = pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs')
    observer.wait_until_active('/car/eyes')
    latched = observer.collect(
        messages.LabelInfo, '/car/segmentation/label_info',
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    observer.send_until([], latched)
    classes = [(entry.class_id, entry.class_name) for entry in latched[0].class_map]
    assert classes == list(enumerate(load_label_set('camvid').names))


@pytest.mark.launch(fixture=one_camera)
def test_the_command_of_the_documentation_shows_the_names(observer):
    """With one QoS option alone `ros2 topic echo` asks for best effort and shows nothing."""
    pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs')
    text = (Path(__file__).parents[1] / 'docs' / 'contracts.md').read_text().replace('\\\n', '')
    command = re.search(r'^ros2 topic echo .*/segmentation/label_info.*$', text, re.MULTILINE)[0]
    observer.wait_until_active('/car/eyes')
    result = subprocess.run([*command.replace(' /', ' /car/').split(), '--no-daemon'],
                            capture_output=True, text=True, timeout=START_S)
    assert f'class_name: {load_label_set("camvid").names[0]}' in result.stdout


@pytest.mark.launch(fixture=two_cameras)
def test_arguments_add_cameras_to_a_parameter_file(observer, model_file):
    """Each camera's JPEG is labelled, and what no argument names is as in the file."""
    boxes = {camera: observer.collect(Image, f'/{camera}/segmentation/label')
             for camera in ('front', 'rear')}
    observer.wait_until_active('/segret')
    jpeg = cv2.imencode('.jpg', picture())[1].tobytes()
    image = stamped(CompressedImage(format='jpeg', data=jpeg))
    observer.send_until(
        [(observer.node.create_publisher(CompressedImage, f'/{camera}/image_raw/compressed', 1),
          image) for camera in boxes], *boxes.values())
    for labels in boxes.values():
        assert labels[0].header == image.header
        assert (labels[0].height, labels[0].width) == (HEIGHT, WIDTH)
    assert observer.parameters('/segret', [
        'overlay_alpha', 'model', 'device', 'cameras',
    ]) == {'overlay_alpha': 0.25, 'model': str(model_file), 'device': 'cpu',
           'cameras': ['front', 'rear']}


def expand(name: str, **arguments: str) -> tuple['launch.LaunchContext', list]:
    """Return the programs and files that a launch file comes to; nothing is started."""
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    source = launch.launch_description_sources.PythonLaunchDescriptionSource(str(LAUNCH / name))
    started = (launch.actions.ExecuteProcess, launch.actions.IncludeLaunchDescription)
    waiting, actions = list(source.get_launch_description(context).entities), []
    while waiting:
        entity = waiting.pop(0)
        if isinstance(entity, started):
            actions.append(entity)
        else:
            waiting = [*(entity.visit(context) or []), *waiting]
    return context, actions


def text_of(context: 'launch.LaunchContext', substitutions) -> str:
    """Return the text of one or several substitutions."""
    return launch.utilities.perform_substitutions(
        context, launch.utilities.normalize_to_list_of_substitutions(substitutions))


def bag_with(folder: Path, **types: str) -> Path:
    """Write the metadata of a bag that has the topics; a bag is played by others, not read."""
    topics = [{'topic_metadata': {'name': f'/{name.replace("__", "/")}', 'type': kind}}
              for name, kind in types.items()]
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(
        {'rosbag2_bagfile_information': {'topics_with_message_count': topics}}))
    return folder


def started_programs(**arguments: str) -> list[tuple[str, str]]:
    """Return (package, executable) of each node that segret.launch.py starts."""
    context, nodes = expand('segret.launch.py', **arguments)
    return [(text_of(context, node.node_package), text_of(context, node.node_executable))
            for node in nodes if isinstance(node, ros_actions.Node)]


def test_rviz_is_started_when_asked_for():
    """With rviz:=true alone RViz comes, and first: it may not be installed."""
    node = ('segret_ros', 'segret_node')
    assert started_programs() == [node]
    assert started_programs(rviz='true') == [('rviz2', 'rviz2'), node]


def test_rviz_shows_the_topics_of_the_arguments():
    """The layout for RViz names the remapped camera and the node's own outputs."""
    context, (rviz, _) = expand('segret.launch.py', rviz='true', namespace='car', cameras='front',
                                image='/{camera}/jpeg/compressed')
    # The first part is RViz itself, which need not be installed for this test.
    option, path = (text_of(context, part) for part in rviz.cmd[1:3])
    assert option == '-d'
    layout = yaml.safe_load(Path(path).read_text())
    assert [display['Topic']['Value'] for display in layout['Visualization Manager']['Displays']
            ] == ['/front/jpeg/compressed', '/car/front/segmentation/overlay',
                  '/car/front/segmentation/color']


@pytest.fixture
def ros2bag(tmp_path, monkeypatch):
    """Enter ros2bag in an index of packages, for machines without it; no bag is played."""
    index = tmp_path / 'index' / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'ros2bag').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'index'), prepend=os.pathsep)


@pytest.mark.parametrize('rviz', ['true', 'false'])
def test_replay_plays_the_bag_beside_the_node(tmp_path, ros2bag, rviz):
    """The player comes with the node on the bag's clock and on the bag's camera topic."""
    bag = bag_with(tmp_path, camera__image_raw__compressed='sensor_msgs/msg/CompressedImage',
                   camera__label='sensor_msgs/msg/Image')
    context, (included, player) = expand('replay.launch.py', bag=str(bag), rate='0.5', rviz=rviz)
    assert [text_of(context, part) for part in player.cmd] == [
        'ros2', 'bag', 'play', str(bag), '--clock', '100', '--rate', '0.5', '--delay', '5.0']
    assert dict(included.launch_arguments) == {'use_sim_time': 'true'}
    assert context.launch_configurations['image'] == '/camera/image_raw/compressed'
    programs = started_programs(**context.launch_configurations)
    assert ('segret_ros', 'segret_node') in programs
    assert (('rviz2', 'rviz2') in programs) == (rviz == 'true')


def loaded_nodes(folder: Path, *arguments: str) -> list[dict]:
    """Return what depth_cloud.launch.py loads into a container, which here only listens."""
    index = folder / 'share' / 'ament_index' / 'resource_index' / 'packages'
    programs = folder / 'lib' / 'rclcpp_components'
    for made in (index, programs):
        made.mkdir(parents=True)
    (index / 'rclcpp_components').touch()
    container = programs / 'component_container'
    stand_in = Path(__file__).with_name('container_stand_in.py')
    container.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    container.chmod(0o755)
    loaded = folder / 'loaded'
    loaded.touch()
    process = subprocess.Popen(
        ['ros2', 'launch', 'segret_ros', 'depth_cloud.launch.py', *arguments], env=os.environ | {
            'LOADED': str(loaded),
            'AMENT_PREFIX_PATH': f'{folder}:{os.environ["AMENT_PREFIX_PATH"]}'})
    try:
        wait_for(lambda: len(loaded.read_text().splitlines()) > 1, 'two components', START_S)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_S)
    return [json.loads(line) for line in loaded.read_text().splitlines()]


def test_the_depth_nodes_are_loaded_with_topics_that_fit(tmp_path):
    """One registers depth images, stamped as the colour image; the other makes their points."""
    profile = str(share_directory() / 'config' / 'fastdds.xml')
    register, points = loaded_nodes(tmp_path, 'depth:=/front/depth', 'namespace:=car',
                                    'use_sim_time:=true')
    assert register == {
        'package': 'depth_image_proc', 'plugin': 'depth_image_proc::RegisterNode',
        'name': '/car/register_depth', 'profile': profile,
        'remappings': ['depth/image_rect:=/front/depth',
                       'depth/camera_info:=/camera/depth/camera_info',
                       'rgb/camera_info:=/camera/camera_info'],
        'parameters': {'use_sim_time': True, 'use_rgb_timestamp': True,
                       'fill_upsampling_holes': True}}
    assert points == {
        'package': 'depth_image_proc', 'plugin': 'depth_image_proc::PointCloudXyzNode',
        'name': '/car/depth_cloud', 'profile': profile,
        'remappings': ['image_rect:=depth_registered/image_rect',
                       'camera_info:=depth_registered/camera_info',
                       'points:=/segmentation/points'],
        'parameters': {'use_sim_time': True}}


def test_a_parameter_file_that_is_not_there_is_refused(tmp_path):
    """The node does not run on defaults instead, and the message names the path."""
    with pytest.raises(FileNotFoundError, match='no parameter file at .*lost.yaml'):
        expand('segret.launch.py', params_file=str(tmp_path / 'lost.yaml'))


def test_a_parameter_file_may_be_in_the_home_folder(tmp_path, monkeypatch):
    """No shell expands ~ after := for the user."""
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'own.yaml').write_text('{}')
    context, (*_, node) = expand('segret.launch.py', params_file='~/own.yaml')
    assert isinstance(node, ros_actions.Node)


def test_a_placeholder_needs_the_names_of_the_cameras():
    """The message tells what to add; rcl would only say that a rule cannot be parsed."""
    with pytest.raises(ValueError, match='image is /{camera}/raw and cameras is empty.*cameras:='):
        expand('segret.launch.py', image='/{camera}/raw')


@pytest.mark.parametrize('where', ['argument', 'file'])
def test_several_cameras_need_a_topic_each(tmp_path, where):
    """One topic for two cameras is refused, not passed over, wherever the cameras are named."""
    file = tmp_path / 'own.yaml'
    content = '/**: {ros__parameters: {cameras: [front, rear]}}'
    file.write_text(content if where == 'file' else '{}')
    arguments = {'cameras': 'front,rear'} if where == 'argument' else {}
    with pytest.raises(ValueError, match='image is /raw and the cameras are front, rear: give'):
        expand('segret.launch.py', image='/raw', params_file=str(file), **arguments)


def test_replay_refuses_a_bag_that_is_not_there(tmp_path):
    """The message names the path."""
    with pytest.raises(FileNotFoundError, match='no bag at .*lost_drive'):
        expand('replay.launch.py', bag=str(tmp_path / 'lost_drive'))


def test_replay_names_the_player_that_is_not_installed(tmp_path, monkeypatch):
    """In one line; the usage of `ros2` would not say what to do."""
    bag = bag_with(tmp_path, camera__image_raw='sensor_msgs/msg/Image')
    monkeypatch.setenv('AMENT_PREFIX_PATH', get_package_prefix('segret_ros'))
    with pytest.raises(ModuleNotFoundError, match='apt install ros-.ROS_DISTRO-ros2bag'):
        expand('replay.launch.py', bag=str(bag))


def test_replay_asks_which_of_several_cameras(tmp_path, ros2bag):
    """Of topics with unusual names none is guessed."""
    bag = bag_with(tmp_path, left='sensor_msgs/msg/Image', right='sensor_msgs/msg/Image')
    with pytest.raises(ValueError, match='/left, /right.*image:=TOPIC'):
        expand('replay.launch.py', bag=str(bag))
    context, _ = expand('replay.launch.py', bag=str(bag), image='/right')
    assert context.launch_configurations['image'] == '/right'


@pytest.mark.parametrize('file, arguments', [
    ('segret.launch.py', ['immage:=/x']), ('replay.launch.py', ['bag:=/', 'immage:=/x']),
    ('depth_cloud.launch.py', ['clod:=/x'])])
def test_an_argument_that_nobody_declares_is_refused(file, arguments):
    """Launch would ignore the misspelt name, and the node would run on another camera."""
    result = subprocess.run(['ros2', 'launch', 'segret_ros', file, *arguments],
                            capture_output=True, text=True, timeout=START_S)
    assert result.returncode == 1
    wanted = f'(immage|clod):= is no argument of {file}: did you mean (image|cloud):='
    assert re.search(wanted, result.stdout)
    assert 'process started' not in result.stdout
