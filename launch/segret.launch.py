"""Start the segmentation node on a camera, with RViz beside it when asked for."""

from pathlib import Path
import tempfile

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from segret_ros.yaml_file import read_yaml

CONFIG = Path(get_package_share_directory('segret_ros')) / 'config'
COMPRESSED = '/compressed'
DEFAULT_IMAGE = '/camera/image_raw'
ARGUMENTS = {
    'model': ('', 'Model file (.onnx); empty keeps the one of params_file.'),
    'device': ('', 'auto, cpu, openvino, cuda, cuda:1, tensorrt or torch; empty keeps the one of '
               'params_file.'),
    'image': ('',
              'Camera topic; camera_info is taken from beside it. A name that ends in /compressed '
              'is received compressed. With cameras, {camera} stands for the name of each: '
              f'image:=/{{camera}}/image_raw. Empty: {DEFAULT_IMAGE}, with cameras NAME/image.'),
    'cameras': ('', 'Names of the cameras: front,rear; empty keeps those of params_file.'),
    'params_file': (str(CONFIG / 'segret.yaml'), 'ROS 2 parameter file of the node.'),
    'namespace': ('', 'Namespace of the node and of its relative topics.'),
    'rviz': ('false', 'true opens RViz with camera, overlay and class colours.'),
    'use_sim_time': ('', 'true takes the time from /clock; empty keeps the one of params_file.'),
}


def camera_names(cameras: str) -> list[str]:
    """Return the names in a comma-separated list; none is one unnamed camera."""
    return [name.strip() for name in cameras.split(',') if name.strip()]


def all_cameras(values: dict[str, str]) -> list[str]:
    """Return the cameras' names, of the arguments or else of params_file."""
    return camera_names(values['cameras']) or cameras_in(read_yaml(values['params_file']))


def cameras_in(settings: object) -> list[str]:
    """Return the value of `cameras` anywhere in a parameter file; none is one unnamed camera."""
    if not isinstance(settings, dict):
        return []
    names = settings.get('cameras', [])
    found = camera_names(names) if isinstance(names, str) else [*filter(None, names or [])]
    return found or next(filter(None, map(cameras_in, settings.values())), [])


def image_topics(image: str, cameras: list[str]) -> dict[str, str]:
    """Return the camera topic to receive for each relative image topic of the node."""
    if not cameras:
        return {'image': image or DEFAULT_IMAGE}
    if not image:
        return {}
    return {f'{name}/image': image.replace('{camera}', name) for name in cameras}


def remappings(topics: dict[str, str]) -> list[tuple[str, str]]:
    """
    Return the remappings of each image topic and of the camera_info beside it.

    The node itself finds the compressed form of an image topic.
    """
    rules = []
    for relative, topic in topics.items():
        rules += [(relative, topic), (beside(relative, 'camera_info'),
                                      beside(topic.removesuffix(COMPRESSED), 'camera_info'))]
    return rules


def beside(topic: str, name: str) -> str:
    """Give the topic of that name in the namespace of another topic."""
    return f'{topic.rpartition("/")[0]}/{name}' if '/' in topic else name


def parameters(values: dict[str, str]) -> dict[str, ParameterValue]:
    """Give the parameters that the arguments set over those of params_file."""
    chosen = {name: ParameterValue(values[name], value_type=str) for name in ('model', 'device')
              if values[name]}
    if camera_names(values['cameras']):
        chosen['cameras'] = ParameterValue(camera_names(values['cameras']), value_type=list[str])
    if values['use_sim_time']:
        chosen['use_sim_time'] = simulated_time()
    return chosen


def simulated_time() -> ParameterValue:
    """Give the argument use_sim_time; only a substitution is converted to a bool."""
    return ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)


def shown_topics(values: dict[str, str]) -> dict[str, str]:
    """Give the topic of the (first) camera for each topic that the RViz layout names."""
    namespace = values['namespace'].strip('/')
    cameras = all_cameras(values)
    camera = next(iter(cameras), '')
    received = image_topics(values['image'], cameras)
    compressed = COMPRESSED if values['image'].endswith(COMPRESSED) else ''
    image = next(iter(received.values()), f'{camera}/image{compressed}')
    prefix = '/'.join(['', *filter(None, (namespace, camera)), 'segmentation'])
    if not image.startswith('/'):
        image = '/'.join(['', *filter(None, (namespace,)), image])
    return {'/camera/image_raw': image, '/segmentation/overlay': f'{prefix}/overlay',
            '/segmentation/color': f'{prefix}/color'}


def rviz_layout(topics: dict[str, str]) -> str:
    """
    Give the path of a copy of the RViz layout that shows the topics wanted.

    A copy and not remappings: RViz tells a compressed topic by the name in its layout.
    """
    layout = (CONFIG / 'segret.rviz').read_text()
    for named, wanted in topics.items():
        layout = layout.replace(f'Value: {named}\n', f'Value: {wanted}\n')
    with tempfile.NamedTemporaryFile('w', prefix='segret_', suffix='.rviz', delete=False) as file:
        file.write(layout)
    return file.name


def check(values: dict[str, str]) -> None:
    """
    Return when the arguments can be meant; else launch would run the node on defaults.

    :raises FileNotFoundError: when there is no such params_file.
    :raises ValueError: when image holds {camera} and there are no cameras to stand for, or is one
        topic for several cameras.
    """
    if not Path(values['params_file']).is_file():
        raise FileNotFoundError(f'no parameter file at {values["params_file"]}: give its path '
                                'with params_file:=FILE.yaml')
    cameras = all_cameras(values)
    if len(cameras) > 1 and values['image'] and '{camera}' not in values['image']:
        raise ValueError(f'image is {values["image"]} and the cameras are {", ".join(cameras)}: '
                         'give each a topic of its own with {camera} in image, as in '
                         'image:=/{camera}/image_raw')
    if '{camera}' in values['image'] and not cameras:
        raise ValueError(f'image is {values["image"]} and cameras is empty: name those that '
                         '{camera} stands for with cameras:=front,rear')


def start(context: LaunchContext) -> list[Node]:
    """Give the node, and RViz when it is asked for."""
    values = {name: LaunchConfiguration(name).perform(context).strip() for name in ARGUMENTS}
    values['params_file'] = str(Path(values['params_file']).expanduser())
    check(values)
    chosen = parameters(values)
    topics = image_topics(values['image'], all_cameras(values))
    nodes = [Node(package='segret_ros', executable='segret_node', name='segret',
                  namespace=values['namespace'], output='screen', emulate_tty=True,
                  parameters=[values['params_file'], *([chosen] if chosen else [])],
                  remappings=remappings(topics))]
    if IfCondition(values['rviz']).evaluate(context):
        clock = [{'use_sim_time': simulated_time()}] if values['use_sim_time'] else []
        # First: where rviz2 is missing launch ends at once, and would leave the node running.
        nodes.insert(0, Node(package='rviz2', executable='rviz2', name='segret_rviz',
                             namespace=values['namespace'], parameters=clock,
                             arguments=['-d', rviz_layout(shown_topics(values))]))
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Give the arguments and what they start."""
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
