"""The parameters: what they tell of themselves, and what happens on a wrong value."""

from collections.abc import Iterator
from pathlib import Path

from node_process import Diagnostics, image_message, NodeProcess, Peer, running_node, street
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest
from rcl_interfaces.msg import (
    Parameter as RosParameter, ParameterDescriptor, ParameterType, ParameterValue)
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import parameter_value_to_python
from segret_ros.inference import ModelInfo, Segmenter
from sensor_msgs.msg import Image

DEFAULTS = {'model': '', 'device': 'auto', 'cameras': [''], 'image_transport': 'raw',
            'image_reliability': 'best_effort', 'overlay_alpha': 0.5, 'autostart': True}
TYPES = {'model': ParameterType.PARAMETER_STRING, 'device': ParameterType.PARAMETER_STRING,
         'cameras': ParameterType.PARAMETER_STRING_ARRAY,
         'image_transport': ParameterType.PARAMETER_STRING,
         'image_reliability': ParameterType.PARAMETER_STRING,
         'overlay_alpha': ParameterType.PARAMETER_DOUBLE,
         'autostart': ParameterType.PARAMETER_BOOL}
WRONG = [
    ({'model': '/nowhere/drive.onnx'}, '/nowhere/drive.onnx: no such model file; make a right one '
     'with: segret_export'),
    ({'model': __file__}, "test_parameters.py: ONNX Runtime can't load it"),
    ({'device': 'quantum'},
     "no device 'quantum': use auto, cpu, openvino, cuda, cuda:N or tensorrt"),
    ({'cameras': ['front', 'front']}, "parameter cameras is ['front', 'front']: each name "
     'must occur once'),
    ({'cameras': ['front', 'my camera']}, "parameter cameras holds 'my camera'"),
    ({'cameras': ['front//left']}, "parameter cameras holds 'front//left'"),
    ({'cameras': ['2nd']}, "parameter cameras holds '2nd'"),
    ({'cameras': ['front/2']}, "parameter cameras holds 'front/2'"),
    ({'cameras': ['front/']}, "parameter cameras holds 'front/'"),
    ({'image_transport': 'h264'}, "parameter image_transport is 'h264': it must be one of raw, "
     'compressed'),
    ({'image_reliability': 'often'}, "parameter image_reliability is 'often': it must be one "
     'of best_effort, reliable'),
]


@pytest.fixture(scope='module')
def node(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Run a node that waits for its transitions."""
    with running_node(tmp_path_factory.mktemp('node'), model=str(model_file),
                      autostart=False) as node:
        yield node


@pytest.fixture
def right(node: NodeProcess, peer: Peer, model_file: Path) -> dict[str, object]:
    """Give values that work, after bringing the unconfigured node to them."""
    right = {**DEFAULTS, 'model': str(model_file), 'autostart': False}
    peer.go_to('unconfigured')
    assert all(result.successful for result in peer.set_parameters(**right))
    return right


def failing_model(info: ModelInfo) -> onnx.ModelProto:
    """Give a sound graph that looks up entry 5 of a table of two for a black image."""
    height, width = info.input_size
    logits = [1, len(info.labels), height // 4, width // 4]
    graph = helper.make_graph(
        [helper.make_node('Cast', ['image'], ['wide'], to=TensorProto.INT64),
         helper.make_node('ReduceMax', ['wide'], ['largest'], keepdims=0),
         helper.make_node('Add', ['largest', 'five'], ['index']),
         helper.make_node('Gather', ['table', 'index'], ['logits'])], 'fails',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, height, width, 3])],
        [helper.make_tensor_value_info('logits', TensorProto.FLOAT, logits)],
        [numpy_helper.from_array(np.array(5), 'five'),
         numpy_helper.from_array(np.zeros([2, *logits], np.float32), 'table')])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])


def describe(peer: Peer) -> dict[str, ParameterDescriptor]:
    """Give what the parameters tell of themselves."""
    return dict(zip(TYPES, peer.call(DescribeParameters, 'describe_parameters',
                                     DescribeParameters.Request(names=list(TYPES))).descriptors))


def test_parameters_have_a_type_and_say_what_they_mean(node: NodeProcess, peer: Peer) -> None:
    for name, descriptor in describe(peer).items():
        assert descriptor.type == TYPES[name], name
        assert len(descriptor.description.split()) > 5, name
        assert 'Read on configure' in descriptor.description, name


def test_limited_parameters_tell_their_limits(node: NodeProcess, peer: Peer) -> None:
    descriptors = describe(peer)
    limits, = descriptors['overlay_alpha'].floating_point_range
    assert (limits.from_value, limits.to_value) == (0.0, 1.0)
    assert descriptors['image_transport'].additional_constraints == 'one of raw, compressed'
    assert descriptors['image_reliability'].additional_constraints == (
        'one of best_effort, reliable')


def test_parameters_have_the_documented_defaults(node: NodeProcess, peer: Peer) -> None:
    given = {'model', 'autostart'}
    names = [name for name in DEFAULTS if name not in given]
    values = peer.call(GetParameters, 'get_parameters', GetParameters.Request(names=names)).values
    assert {name: parameter_value_to_python(value) for name, value in zip(names, values)} == {
        name: DEFAULTS[name] for name in names}


@pytest.mark.parametrize('name, value', [
    ('overlay_alpha', 1.1), ('overlay_alpha', -0.1), ('overlay_alpha', 'half'),
    ('cameras', 'front'), ('model', 3), ('autostart', 'yes')])
def test_a_value_of_wrong_type_or_range_is_refused_at_once(node: NodeProcess, peer: Peer,
                                                           name: str, value: object) -> None:
    result, = peer.set_parameters(**{name: value})
    assert not result.successful
    assert 'range' in result.reason or 'type' in result.reason


@pytest.mark.parametrize('wrong, message', WRONG)
def test_a_wrong_value_fails_configure_with_one_line_and_can_be_put_right(
        node: NodeProcess, peer: Peer, right: dict[str, object], wrong: dict[str, object],
        message: str) -> None:
    assert all(result.successful for result in peer.set_parameters(**wrong))
    before = node.log()
    assert not peer.change('configure')
    assert peer.state() == 'unconfigured'
    written = node.log()[len(before):].splitlines()
    assert len(written) == 1 and '[ERROR]' in written[0] and message in written[0], written
    assert all(result.successful for result in peer.set_parameters(
        **{name: right[name] for name in wrong}))
    assert peer.change('configure', 'activate')
    assert peer.state() == 'active'


def test_no_camera_at_all_is_refused(node: NodeProcess, peer: Peer,
                                     right: dict[str, object]) -> None:
    none = RosParameter(name='cameras', value=ParameterValue(
        type=ParameterType.PARAMETER_STRING_ARRAY))
    assert peer.call(SetParameters, 'set_parameters',
                     SetParameters.Request(parameters=[none])).results[0].successful
    assert not peer.change('configure')
    assert 'parameter cameras is empty: give at least one name' in node.log().splitlines()[-1]


def test_a_model_that_fails_when_run_fails_configure(
        node: NodeProcess, peer: Peer, right: dict[str, object], segmenter: Segmenter,
        tmp_path: Path) -> None:
    path = tmp_path / 'fails.onnx'
    from segret_train.onnx_model import save_model
    save_model(failing_model(segmenter.info), segmenter.info, path)
    peer.set_parameters(model=str(path), device='cpu')
    assert not peer.change('configure')
    assert peer.state() == 'unconfigured'
    assert 'not configured:' in node.log().splitlines()[-1]
    peer.set_parameters(model=right['model'])
    assert peer.change('configure')


def test_diagnostics_tell_why_the_node_is_not_configured(
        node: NodeProcess, peer: Peer, right: dict[str, object],
        diagnostics: Diagnostics) -> None:
    peer.set_parameters(device='quantum')
    assert not peer.change('configure')
    status = diagnostics.newest('node')
    assert status.level == status.ERROR
    assert status.message.startswith("not configured: no device 'quantum'")
    peer.set_parameters(device='cpu')
    assert peer.change('configure')
    assert diagnostics.newest('node').level == status.WARN


def test_a_new_value_is_used_from_the_next_configure_on(node: NodeProcess, peer: Peer,
                                                        right: dict[str, object]) -> None:
    assert peer.change('configure', 'activate')
    peer.set_parameters(cameras=['roof'])
    peer.wait_for(lambda: peer.node.count_publishers('/segmentation/label') == 1, 'the topic')
    assert peer.node.count_publishers('/roof/segmentation/label') == 0
    peer.go_to('active')
    label = peer.listen(Image, '/roof/segmentation/label')
    peer.connect(peer.advertise(Image, '/roof/image'),
                 lambda: image_message(street(45, 61), 'rgb8'), label)


def test_autostart_with_a_wrong_model_leaves_a_node_that_can_be_configured(
        peer: Peer, node: NodeProcess, model_file: Path, tmp_path: Path) -> None:
    node.end()  # two nodes of one name would both answer
    with running_node(tmp_path, model='/nowhere/drive.onnx') as another:
        peer.wait_for(lambda: '[ERROR]' in another.log(), 'the error')
        assert peer.state() == 'unconfigured'
        line, = another.log().splitlines()
        assert '/nowhere/drive.onnx: no such model file' in line
        assert peer.set_parameters(model=str(model_file))[0].successful
        assert peer.change('configure', 'activate')


@pytest.mark.parametrize('parameters, message', [
    ({'overlay_alpha': 2.0}, 'overlay_alpha'), ({'overlay_alpha': 'half'}, 'overlay_alpha'),
    ({'cameras': 'front'}, 'cameras'), ({'model': 3}, 'model'), ({'not a name': 1}, 'not a name')])
def test_an_impossible_argument_ends_the_program_with_one_line(
        tmp_path: Path, parameters: dict[str, object], message: str) -> None:
    with running_node(tmp_path, **parameters) as node:
        assert node.wait() == 1
        line, = node.log().splitlines()
        assert line.startswith('segret_node: ') and message in line


def test_help_explains_every_parameter(tmp_path: Path) -> None:
    program = NodeProcess(tmp_path, ['--help'])
    assert program.wait() == 0
    text = program.log()
    for name, default in DEFAULTS.items():
        assert f'  {name} ({default!r}): ' in text
