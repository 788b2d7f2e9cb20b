# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Start the segmentation node on one or several cameras, optionally with RViz."""

from pathlib import Path
import tempfile

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from segret_ros.command_line import refuse_unknown_arguments
from segret_ros.files.yaml_file import read_yaml

CONFIG = Path(get_package_share_directory('segret_ros')) / 'config'
COMPRESSED = '/compressed'
# Parameters that an argument sets over params_file: type and description.
OVERRIDES = {
    'model': (str, 'Model file (.onnx).'),
    'device': (str, 'auto, cpu, openvino, cuda, cuda:1, tensorrt or torch.'),
    'cameras': (str, 'Names of the cameras: front,rear.'),
    'image_transport': (str, 'raw, or compressed: the topic of image with /compressed appended.'),
    'use_sim_time': (bool, 'true takes the time from /clock.'),
}
ARGUMENTS = [
    DeclareLaunchArgument(
        'image', default_value='',
        description='Camera topic; camera_info is expected next to it. A name that ends in '
                    '/compressed is received compressed. With cameras, {camera} stands for the '
                    'name of each: image:=/{camera}/image_raw. Empty: /camera/image_raw, or '
                    'NAME/image with cameras.'),
    DeclareLaunchArgument('params_file', default_value=str(CONFIG / 'segret.yaml'),
                          description='ROS 2 parameter file of the node.'),
    *(DeclareLaunchArgument(name, default_value='',
                            description=f'{description} Empty: as in params_file.')
      for name, (_, description) in OVERRIDES.items()),
    DeclareLaunchArgument('name', default_value='segret', description='Name of the node.'),
    DeclareLaunchArgument('namespace', default_value='',
                          description='Namespace of the node and of its relative topics.'),
    DeclareLaunchArgument('log_level', default_value='info',
                          description='debug, info, warn, error or fatal.'),
    DeclareLaunchArgument('respawn', default_value='false',
                          description='true restarts the node 2 s after it has ended.'),
    DeclareLaunchArgument('rviz', default_value='false',
                          description='true opens RViz with camera, overlay and class colours.'),
]


def params_file(context: LaunchContext) -> Path:
    """Return the parameter file; no shell expands the ~ of `params_file:=~/own.yaml`."""
    return Path(context.launch_configurations['params_file']).expanduser()


def setting(context: LaunchContext, name: str) -> object:
    """Return the value of a parameter, from its argument or else from params_file, or None."""
    return context.launch_configurations[name] or find(read_yaml(params_file(context)), name)


def find(settings: object, name: str) -> object:
    """Return the value of a parameter from whichever section of a parameter file has it."""
    if not isinstance(settings, dict):
        return None
    if name in settings:
        return settings[name]
    return next(filter(None, (find(section, name) for section in settings.values())), None)


def image_topics(context: LaunchContext) -> dict[str, str]:
    """
    Return the camera topic to receive for each relative image topic of the node.

    :raises ValueError: if image contains {camera} but no cameras are given, or is one topic for
        several cameras.
    """
    image, cameras = context.launch_configurations['image'], setting(context, 'cameras') or ''
    names = [name.strip() for name in
             (cameras.split(',') if isinstance(cameras, str) else cameras) if name.strip()]
    if '{camera}' in image and not names:
        raise ValueError(f'image is {image} and cameras is empty: name those that {{camera}} '
                         'stands for with cameras:=front,rear')
    if not names:
        return {'image': image or '/camera/image_raw'}
    if len(names) > 1 and image and '{camera}' not in image:
        raise ValueError(f'image is {image} and the cameras are {", ".join(names)}: give each a '
                         'topic of its own with {camera} in image, as in '
                         'image:=/{camera}/image_raw')
    return {f'{name}/image': image.replace('{camera}', name) or f'{name}/image' for name in names}


def check(context: LaunchContext) -> None:
    """
    Refuse what launch would ignore.

    :raises ValueError: for an argument that is not declared.
    :raises FileNotFoundError: when there is no such params_file.
    """
    refuse_unknown_arguments(__file__, [argument.name for argument in ARGUMENTS])
    if not params_file(context).is_file():
        raise FileNotFoundError(f'no parameter file at {params_file(context)}: give its path with '
                                'params_file:=FILE.yaml')


def segret(context: LaunchContext) -> list[Node]:
    """Return the node; a function, since launch has no conditional parameters and remappings."""
    overrides = {name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                 for name, (kind, _) in OVERRIDES.items() if context.launch_configurations[name]}
    return [Node(
        package='segret_ros', executable='segret_node', name=LaunchConfiguration('name'),
        namespace=LaunchConfiguration('namespace'), output='screen', emulate_tty=True,
        respawn=LaunchConfiguration('respawn'), respawn_delay=2.0,
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        parameters=[str(params_file(context)), *filter(None, [overrides])],
        remappings=[*image_topics(context).items()])]


def rviz(context: LaunchContext) -> list[Node]:
    """
    Return RViz with a copy of the layout that shows the topics of the (first) camera.

    A copy, not remappings: RViz recognises a compressed topic by the name in its layout.
    """
    (relative, image), *_ = image_topics(context).items()
    if setting(context, 'image_transport') == 'compressed' and not image.endswith(COMPRESSED):
        image += COMPRESSED
    prefix = relative.removesuffix('image')
    layout = (CONFIG / 'segret.rviz').read_text()
    for named, topic in {'/camera/image_raw': image,
                         '/segmentation/overlay': f'{prefix}segmentation/overlay',
                         '/segmentation/color': f'{prefix}segmentation/color'}.items():
        if not topic.startswith('/'):
            topic = f'/{context.launch_configurations["namespace"]}/{topic}'.replace('//', '/')
        layout = layout.replace(f'Value: {named}\n', f'Value: {topic}\n')
    with tempfile.NamedTemporaryFile('w', prefix='segret_', suffix='.rviz', delete=False) as file:
        file.write(layout)
    clock = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    timed = context.launch_configurations['use_sim_time'] != ''
    return [Node(package='rviz2', executable='rviz2', name='segret_rviz',
                 namespace=LaunchConfiguration('namespace'), arguments=['-d', file.name],
                 parameters=[{'use_sim_time': clock}] if timed else [])]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and what they start."""
    return LaunchDescription([
        *ARGUMENTS,
        OpaqueFunction(function=check),
        # First: without rviz2 launch ends at once, and would leave the node running.
        OpaqueFunction(function=rviz, condition=IfCondition(LaunchConfiguration('rviz'))),
        OpaqueFunction(function=segret)])
