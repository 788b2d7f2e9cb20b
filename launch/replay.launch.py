"""Play a bag through the segmentation node and look at the result in RViz."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription,
                            OpaqueFunction, Shutdown)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from segret_ros.reason import reason
from segret_ros.yaml_file import read_yaml

LAUNCH = Path(get_package_share_directory('segret_ros')) / 'launch'
CAMERA_TOPICS = ('/camera/image_raw', '/camera/image_raw/compressed')
IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
PASSED_ON = ('model', 'device', 'cameras', 'params_file', 'namespace', 'rviz')
ARGUMENTS = {
    'image': ('', f'Camera topic of the bag; empty takes {" or ".join(CAMERA_TOPICS)}, else the '
                  'only image topic in the bag.'),
    'rate': ('1.0', 'Playing speed; below 1 for a computer slower than the camera.'),
    'delay': ('5.0', 'Seconds until the bag starts, for the node to load its model.'),
    'model': ('', 'As in segret.launch.py, like all below.'),
    'device': ('', ''),
    'cameras': ('', ''),
    'params_file': (str(LAUNCH.parent / 'config' / 'segret.yaml'), ''),
    'namespace': ('', ''),
    'rviz': ('true', 'With RViz everything stays open after the bag; false ends with the bag.'),
}


def image_topics(bag: Path) -> list[str]:
    """
    Return the names of the image topics that a bag's metadata lists; a lone file has none.

    :raises ValueError: for damaged metadata.
    """
    metadata = bag / 'metadata.yaml'
    if not metadata.is_file():
        return []
    try:
        information = read_yaml(metadata)['rosbag2_bagfile_information']
        topics = [entry['topic_metadata'] for entry in information['topics_with_message_count']]
        return [topic['name'] for topic in topics if topic['type'] in IMAGE_TYPES]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{metadata} is damaged ({reason(error)}): name the camera's topic with "
                         'image:=TOPIC') from error


def camera_topic(bag: Path) -> str:
    """
    Give the camera topic of a bag.

    :raises ValueError: when the bag has several image topics and none has the usual name, or
        its metadata are damaged.
    """
    found = image_topics(bag)
    for topic in (*CAMERA_TOPICS, *(found if len(found) == 1 else ())):
        if topic in found:
            return topic
    if found:
        raise ValueError(f'{bag} has the image topics {", ".join(found)}: name the camera\'s with '
                         'image:=TOPIC')
    return CAMERA_TOPICS[0]


def play(bag: Path, rate: str, delay: str, rviz: bool) -> ExecuteProcess:
    """Give the player of a bag; without RViz everything ends with it."""
    # The bag stands first: `--clock` would take a path after it for its frequency.
    return ExecuteProcess(
        cmd=['ros2', 'bag', 'play', str(bag), '--clock', '100', '--rate', rate, '--delay', delay],
        name='bag_player', output='screen',
        on_exit=None if rviz else [Shutdown(reason='the bag has been played')])


def start(context: LaunchContext) -> list[Action]:
    """
    Give the node (and RViz) on the bag's time, and the player.

    :raises FileNotFoundError: when there is no such bag.
    """
    values = {name: LaunchConfiguration(name).perform(context) for name in ('bag', *ARGUMENTS)}
    bag = Path(values['bag']).expanduser()
    if not bag.exists():
        raise FileNotFoundError(f'no bag at {bag}: give its folder with bag:=PATH')
    passed_on = {name: values[name] for name in PASSED_ON}
    image = values['image'] or ('' if values['cameras'] else camera_topic(bag))
    passed_on |= {'image': image, 'use_sim_time': 'true'}
    segret = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH / 'segret.launch.py')),
        launch_arguments=passed_on.items())
    rviz = IfCondition(values['rviz']).evaluate(context)
    return [segret, play(bag, values['rate'], values['delay'], rviz)]


def generate_launch_description() -> LaunchDescription:
    """Give the arguments and what they start."""
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()]
    bag = DeclareLaunchArgument('bag', description='Folder of the bag to play; required.')
    return LaunchDescription([bag, *declared, OpaqueFunction(function=start)])
