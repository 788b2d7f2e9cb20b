# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Register a depth image to the colour camera's pixels, as the point cloud that Nav2 reads."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode
from launch_ros.parameter_descriptions import ParameterValue
from segret_ros.command_line import refuse_unknown_arguments
from segret_ros.node.distribution import large_image_profile

ARGUMENTS = {
    'depth': ('/camera/depth/image_rect_raw', 'Rectified depth image, 16UC1 mm or 32FC1 m.'),
    'depth_info': ('/camera/depth/camera_info', 'CameraInfo of the depth image.'),
    'image_info': ('/camera/camera_info', 'CameraInfo of the colour image that is labelled.'),
    'cloud': ('/segmentation/points', 'The cloud, one point per pixel of the colour image.'),
    'namespace': ('', 'Namespace of the nodes and of their relative topics.'),
    'use_sim_time': ('false', 'true takes the time from /clock.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}


def check(context: LaunchContext) -> None:
    """
    Refuse what launch would ignore.

    :raises ValueError: for an argument that is not declared.
    """
    refuse_unknown_arguments(__file__, ARGUMENTS)


def component(name: str, plugin: str, remappings: dict[str, str | LaunchConfiguration],
              **parameters: bool) -> ComposableNode:
    """Return a component of depth_image_proc."""
    clock = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    return ComposableNode(
        package='depth_image_proc', plugin=f'depth_image_proc::{plugin}', name=name,
        namespace=LaunchConfiguration('namespace'), remappings=[*remappings.items()],
        parameters=[{'use_sim_time': clock, **parameters}])


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, and a container with depth_image_proc's two components."""
    topic = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    register = component(
        'register_depth', 'RegisterNode',
        {'depth/image_rect': topic['depth'], 'depth/camera_info': topic['depth_info'],
         'rgb/camera_info': topic['image_info']},
        use_rgb_timestamp=True,  # the cloud then has the labels' stamp
        fill_upsampling_holes=True)  # where the colour image has more pixels than the depth image
    cloud = component(
        'depth_cloud', 'PointCloudXyzNode',
        {'image_rect': 'depth_registered/image_rect',
         'camera_info': 'depth_registered/camera_info', 'points': topic['cloud']})
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, (default, description) in ARGUMENTS.items()),
        OpaqueFunction(function=check),
        ComposableNodeContainer(
            name='depth_cloud_container', namespace=LaunchConfiguration('namespace'),
            package='rclcpp_components', executable='component_container', output='screen',
            emulate_tty=True, additional_env=large_image_profile(),
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            composable_node_descriptions=[register, cloud])])
