# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The installed launch files: what they start, and that an image sent to the node is labelled."""

import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
import cv2
from live_node import Inbox, new_header, Peer, STREET, street_image
import pytest
from segret_ros.files.share import share_directory
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

START_S = 120  # a cold start on a busy machine; 3 s are usual
HEIGHT, WIDTH = STREET.shape[:2]


def send_until(peer: Peer, publications: list[tuple], *inboxes: Inbox) -> None:
    """Publish the (publisher, message) pairs 10 times a second until every inbox has one."""
    def publish_and_receive() -> None:
        for publisher, message in publications:
            publisher.publish(message)
        peer.spin(0.1)

    wait_for(lambda: all(inboxes), 'messages', START_S, publish_and_receive)


def wait_until_active(peer: Peer, name: str = '/segret') -> None:
    """Wait until the node of that name is active."""
    peer.node_name = name
    peer.wait_for(lambda: peer.state() == 'active', 'the active node')


@pytest.fixture
def peer():
    """Yield a node of the test's own beside the launched one."""
    peer = Peer()
    yield peer
    peer.close()


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
def test_a_node_that_died_is_started_anew(peer, respawned):
    """With respawn:=true a second process becomes active."""
    _, process_ids = respawned
    wait_until_active(peer)
    os.kill(process_ids[0], signal.SIGKILL)
    wait_for(lambda: len(process_ids) > 1, 'a second process', START_S)
    wait_until_active(peer)


@pytest.mark.launch(fixture=one_camera)
def test_labels_the_image_of_the_remapped_topic(peer, one_camera):
    """An image and a camera_info on the camera's own names come back with the labels."""
    _, exit_codes = one_camera
    labels = peer.listen(Image, '/car/segmentation/label')
    infos = peer.listen(CameraInfo, '/car/segmentation/camera_info')
    wait_until_active(peer, '/car/eyes')
    image, info = street_image(), CameraInfo(height=HEIGHT, width=WIDTH)
    send_until(peer, [(peer.advertise(CameraInfo, '/drive/camera_info'), info),
                      (peer.advertise(Image, '/drive/image_raw'), image)], labels, infos)
    assert labels[0].header == image.header
    assert (labels[0].height, labels[0].width) == (HEIGHT, WIDTH)
    assert (labels[0].encoding, labels[0].step, len(labels[0].data)) == (
        'mono8', WIDTH, HEIGHT * WIDTH)
    assert infos[0].header == image.header
    yield  # here the launch system sends SIGINT
    assert exit_codes == [0]


@pytest.mark.launch(fixture=one_camera)
def test_the_command_of_the_documentation_shows_the_names(peer):
    """With one QoS option alone `ros2 topic echo` asks for best effort and shows nothing."""
    pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs')
    text = (Path(__file__).parents[1] / 'docs' / 'contracts.md').read_text().replace('\\\n', '')
    command = re.search(r'^ros2 topic echo .*/segmentation/label_info.*$', text, re.MULTILINE)[0]
    wait_until_active(peer, '/car/eyes')
    result = subprocess.run([*command.replace(' /', ' /car/').split(), '--no-daemon'],
                            capture_output=True, text=True, timeout=START_S)
    assert f'class_name: {load_label_set("camvid").names[0]}' in result.stdout


@pytest.mark.launch(fixture=two_cameras)
def test_arguments_add_cameras_to_a_parameter_file(peer, model_file):
    """Each camera's JPEG is labelled, and what no argument names is as in the file."""
    boxes = {camera: peer.listen(Image, f'/{camera}/segmentation/label')
             for camera in ('front', 'rear')}
    wait_until_active(peer)
    jpeg = cv2.imencode('.jpg', STREET)[1].tobytes()
    image = CompressedImage(header=new_header(), format='jpeg', data=jpeg)
    send_until(peer, [
        (peer.advertise(CompressedImage, f'/{camera}/image_raw/compressed'), image)
        for camera in boxes], *boxes.values())
    for labels in boxes.values():
        assert labels[0].header == image.header
        assert (labels[0].height, labels[0].width) == (HEIGHT, WIDTH)
    expected = {'overlay_alpha': 0.25, 'model': str(model_file), 'device': 'cpu',
                'cameras': ['front', 'rear']}
    assert peer.parameters(*expected) == expected


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


@pytest.mark.parametrize('file, arguments, error, message', [
    ('segret.launch.py', {'params_file': '/lost.yaml'}, FileNotFoundError,
     'no parameter file at /lost.yaml'),
    ('segret.launch.py', {'image': '/{camera}/raw'}, ValueError,  # rcl can't parse such a rule
     'image is /{camera}/raw and cameras is empty.*cameras:='),
    ('replay.launch.py', {'bag': '/lost_drive'}, FileNotFoundError, 'no bag at /lost_drive')])
def test_a_wrong_argument_is_refused(file, arguments, error, message):
    """The message names the value and what to give."""
    with pytest.raises(error, match=message):
        expand(file, **arguments)


def test_a_parameter_file_may_be_in_the_home_folder(tmp_path, monkeypatch):
    """No shell expands ~ after := for the user."""
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'own.yaml').write_text('{}')
    context, (*_, node) = expand('segret.launch.py', params_file='~/own.yaml')
    assert isinstance(node, ros_actions.Node)


@pytest.mark.parametrize('where', ['argument', 'file'])
def test_several_cameras_need_a_topic_each(tmp_path, where):
    """One topic for two cameras is refused, not passed over, wherever the cameras are named."""
    file = tmp_path / 'own.yaml'
    content = '/**: {ros__parameters: {cameras: [front, rear]}}'
    file.write_text(content if where == 'file' else '{}')
    arguments = {'cameras': 'front,rear'} if where == 'argument' else {}
    with pytest.raises(ValueError, match='image is /raw and the cameras are front, rear: give'):
        expand('segret.launch.py', image='/raw', params_file=str(file), **arguments)


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
