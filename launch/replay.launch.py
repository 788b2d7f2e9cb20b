# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Play a bag through the segmentation node and look at the result in RViz."""

from pathlib import Path

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetLaunchConfiguration,
    Shutdown,
)
from launch.conditions import UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from segret_ros.command_line import refuse_unknown_arguments
from segret_ros.errors import reason
from segret_ros.files.yaml_file import read_yaml

CAMERA_TOPICS = ('/camera/image_raw', '/camera/image_raw/compressed')
IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


def image_topics(bag: Path) -> list[str]:
    """
    Return the names of the image topics in a bag's metadata; a single file has none.

    :raises ValueError: for corrupt metadata.
    """
    metadata = bag / 'metadata.yaml'
    if not metadata.is_file():
        return []
    try:
        information = read_yaml(metadata)['rosbag2_bagfile_information']
        topics = [entry['topic_metadata'] for entry in information['topics_with_message_count']]
        return [topic['name'] for topic in topics if topic['type'] in IMAGE_TYPES]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{metadata} is corrupt ({reason(error)}): name the camera's topic with "
                         'image:=TOPIC') from error


def camera_topic(bag: Path) -> str:
    """
    Return the camera topic of a bag.

    :raises ValueError: if the bag has several image topics and none has the usual name, or its
        metadata is corrupt.
    """
    found = image_topics(bag)
    for topic in (*CAMERA_TOPICS, *(found if len(found) == 1 else ())):
        if topic in found:
            return topic
    if found:
        raise ValueError(f'{bag} has the image topics {", ".join(found)}: name the camera\'s with '
                         'image:=TOPIC')
    return CAMERA_TOPICS[0]


def set_bag_and_image(context: LaunchContext) -> list[SetLaunchConfiguration]:
    """
    Return the path of the bag without ~, and the camera topic in it unless one is given.

    :raises FileNotFoundError: if there is no such bag.
    """
    given = context.launch_configurations
    bag = Path(given['bag']).expanduser()
    if not bag.exists():
        raise FileNotFoundError(f'no bag at {bag}: give its folder with bag:=PATH')
    image = given.get('image') or ('' if given.get('cameras') else camera_topic(bag))
    return [SetLaunchConfiguration('bag', str(bag)), SetLaunchConfiguration('image', image)]


def check_player(context: LaunchContext) -> None:
    """
    Check that `ros2 bag` is installed, which the package does not need on a robot.

    :raises ModuleNotFoundError: if it is not.
    """
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(
            'the bag is played by ros2bag, which is not installed: sudo apt install '
            'ros-$ROS_DISTRO-ros2bag ros-$ROS_DISTRO-rosbag2-storage-mcap') from error


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, with those of segret.launch.py, and what they start."""
    rviz = LaunchConfiguration('rviz')
    description = LaunchDescription([
        DeclareLaunchArgument('bag', description='Folder of the bag to play.'),
        DeclareLaunchArgument(
            'rate', default_value='1.0',
            description='Playing speed; below 1 for a computer slower than the camera.'),
        DeclareLaunchArgument(
            'delay', default_value='5.0',
            description='Seconds until the bag starts, for the node to load its model.'),
        DeclareLaunchArgument(
            'rviz', default_value='true',
            description='With RViz everything stays open after the bag; false ends with the bag.'),
        OpaqueFunction(function=lambda context: refuse_unknown_arguments(
            __file__, [argument.name for argument in description.get_launch_arguments()])),
        OpaqueFunction(function=set_bag_and_image),
        OpaqueFunction(function=check_player),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(
                str(Path(get_package_share_directory('segret_ros')) / 'launch/segret.launch.py')),
            launch_arguments={'use_sim_time': 'true'}.items()),
        # The bag comes first: `--clock` would take a path after it for its frequency.
        ExecuteProcess(
            cmd=['ros2', 'bag', 'play', LaunchConfiguration('bag'), '--clock', '100',
                 '--rate', LaunchConfiguration('rate'), '--delay', LaunchConfiguration('delay')],
            name='bag_player', output='screen',
            on_exit=[Shutdown(reason='the bag has been played', condition=UnlessCondition(rviz))]),
    ])
    return description
