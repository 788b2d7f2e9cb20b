# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bring a depth camera's image to the colour camera's pixels, as the cloud that Nav2 reads."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode

ARGUMENTS = {
    'depth': ('/camera/depth/image_rect_raw', 'Rectified depth image, 16UC1 mm or 32FC1 m.'),
    'depth_info': ('/camera/depth/camera_info', 'CameraInfo of the depth image.'),
    'image_info': ('/camera/camera_info', 'CameraInfo of the colour image that is labelled.'),
    'cloud': ('/segmentation/points', 'The cloud, a point for each pixel of the colour image.'),
}


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, and a container of depth_image_proc's two components."""
    topic = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    register = ComposableNode(
        package='depth_image_proc', plugin='depth_image_proc::RegisterNode',
        name='register_depth',
        parameters=[{'use_rgb_timestamp': True}],  # the cloud then has the labels' stamp
        remappings=[('depth/image_rect', topic['depth']),
                    ('depth/camera_info', topic['depth_info']),
                    ('rgb/camera_info', topic['image_info'])])
    cloud = ComposableNode(
        package='depth_image_proc', plugin='depth_image_proc::PointCloudXyzNode',
        name='depth_cloud',
        remappings=[('image_rect', 'depth_registered/image_rect'),
                    ('camera_info', 'depth_registered/camera_info'),
                    ('points', topic['cloud'])])
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, (default, description) in ARGUMENTS.items()),
        ComposableNodeContainer(
            name='depth_cloud_container', namespace='', package='rclcpp_components',
            executable='component_container', output='screen',
            composable_node_descriptions=[register, cloud])])
