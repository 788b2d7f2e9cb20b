# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The parameters: what they tell of themselves, and what happens on a wrong value."""

from pathlib import Path

from live_node import Diagnostics, NodeProcess, Peer, pixels_of, running_node, street_image
import numpy as np
import pytest
from rcl_interfaces.msg import (
    Parameter as RosParameter,
    ParameterDescriptor,
    ParameterType,
    ParameterValue,
)
from rcl_interfaces.srv import DescribeParameters, SetParameters
from sensor_msgs.msg import Image

DEFAULTS = {'model': '', 'device': 'auto', 'cameras': [''], 'image_transport': 'raw',
            'image_reliability': 'best_effort', 'priorities': [''], 'max_age': 0.0,
            'max_rate': 0.0, 'max_pixels': 7680 * 4320, 'min_confidence': 0.0,
            'invalid_images': 'publish', 'frozen_frames': 5, 'black_level': 0.05,
            'overexposed_share': 0.7, 'blur_level': 0.5, 'camera_timeout': 1.0,
            'max_allowed_processing_time_ms': 0.0, 'overlay_alpha': 0.5, 'autostart': True}
READ_ON_CONFIGURE = {'model', 'device', 'cameras', 'image_transport', 'image_reliability',
                     'priorities', 'autostart'}
TYPE_OF = {str: ParameterType.PARAMETER_STRING, list: ParameterType.PARAMETER_STRING_ARRAY,
           float: ParameterType.PARAMETER_DOUBLE, int: ParameterType.PARAMETER_INTEGER,
           bool: ParameterType.PARAMETER_BOOL}
TYPES = {name: TYPE_OF[type(default)] for name, default in DEFAULTS.items()}
FILE = """
/**:
  ros__parameters:
    overlay_alpha: 1
    camera_timeout: 3
    cameras: roof
    priorities: []
    autostart: false
"""
OF_FILE = {'overlay_alpha': 1.0, 'camera_timeout': 3.0, 'cameras': ['roof'], 'priorities': []}
WRONG = [
    ({'model': '/nowhere/drive.onnx'}, '/nowhere/drive.onnx: no such model file; make a right one '
     'with: segret_export'),
    ({'model': __file__}, "test_parameters.py: ONNX Runtime can't load it"),
    ({'device': 'quantum'},
     "no device 'quantum': use auto, cpu, openvino, cuda, cuda:N, tensorrt"),
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
    ({'priorities': ['rear=2']}, "parameter priorities holds 'rear=2': there is no camera 'rear'"),
    ({'priorities': ['=0']}, "parameter priorities holds '=0': the turns must be a whole number"),
    ({'cameras': ['a', '/a']}, "cameras 'a' and '/a' both have the topic /a/image"),
    ({'invalid_images': 'hide'}, "parameter invalid_images is 'hide': it must be one of publish, "
     'unknown, drop'),
]
PARAMETERS = {'autostart': False}  # of `node`


@pytest.fixture
def right(node: NodeProcess, peer: Peer, model_file: Path) -> dict[str, object]:
    """Set the unconfigured node to values that work, and return them."""
    right = {**DEFAULTS, 'model': str(model_file), 'autostart': False}
    peer.go_to('unconfigured')
    assert all(result.successful for result in peer.set_parameters(**right))
    return right


def describe(peer: Peer) -> dict[str, ParameterDescriptor]:
    """Return the descriptors of the parameters."""
    return dict(zip(TYPES, peer.call(DescribeParameters, 'describe_parameters',
                                     DescribeParameters.Request(names=list(TYPES))).descriptors))


def test_parameters_have_a_type_and_say_what_they_mean(node: NodeProcess, peer: Peer) -> None:
    for name, descriptor in describe(peer).items():
        assert descriptor.type == TYPES[name], name
        assert len(descriptor.description.split()) > 5, name
        assert ('Read on configure' in descriptor.description) == (name in READ_ON_CONFIGURE), name
        assert ('May change at any time' in descriptor.description) != (name in READ_ON_CONFIGURE)


def test_limited_parameters_report_their_limits(node: NodeProcess, peer: Peer) -> None:
    descriptors = describe(peer)
    limits, = descriptors['overlay_alpha'].floating_point_range
    assert (limits.from_value, limits.to_value) == (0.0, 1.0)
    assert descriptors['image_transport'].additional_constraints == 'one of raw, compressed'
    assert descriptors['image_reliability'].additional_constraints == (
        'one of best_effort, reliable')


def test_parameters_have_the_documented_defaults(
        peer_apart: Peer, model_file: Path, tmp_path: Path) -> None:
    given = {'model', 'autostart'}
    names = [name for name in DEFAULTS if name not in given]
    with running_node(tmp_path, model=str(model_file), autostart=False):
        assert peer_apart.parameters(*names) == {name: DEFAULTS[name] for name in names}


@pytest.mark.parametrize('name, value, reason', [
    ('overlay_alpha', 1.1, 'out of range'), ('overlay_alpha', -0.1, 'out of range'),
    ('overlay_alpha', 2, 'out of range'), ('max_age', float('nan'), 'out of range'),
    ('max_age', float('inf'), 'out of range'), ('max_pixels', 0, 'out of range'),
    ('frozen_frames', -1, 'out of range'),
    ('overlay_alpha', 'half', "parameter overlay_alpha is 'half': it must be a number"),
    ('overlay_alpha', True, 'parameter overlay_alpha is True: it must be a number'),
    ('max_pixels', 1.5, 'parameter max_pixels is 1.5: it must be a whole number'),
    ('cameras', [True], 'parameter cameras is [True]: it must be a list of texts'),
    ('cameras', 3, 'parameter cameras is 3: it must be a list of texts'),
    ('model', 3, 'parameter model is 3: it must be a text'),
    ('autostart', 'yes', "parameter autostart is 'yes': it must be true or false")])
def test_a_value_of_wrong_type_or_range_is_refused_at_once(
        node: NodeProcess, peer: Peer, name: str, value: object, reason: str) -> None:
    result, = peer.set_parameters(**{name: value})
    assert not result.successful
    assert reason in result.reason


@pytest.mark.parametrize('name, value, taken', [
    ('overlay_alpha', 1, 1.0), ('max_age', 3, 3.0), ('max_pixels', 1e6, 1_000_000),
    ('cameras', 'roof', ['roof']), ('cameras', 'front, rear', ['front', 'rear'])])
def test_a_value_that_can_be_meant_is_taken_in_the_declared_type(
        node: NodeProcess, peer: Peer, right: dict[str, object], name: str, value: object,
        taken: object) -> None:
    assert peer.set_parameters(**{name: value})[0].successful
    found = peer.parameters(name)[name]
    assert (found, type(found)) == (taken, type(taken))


def test_values_of_a_file_are_taken_in_the_declared_type(peer_apart: Peer, tmp_path: Path) -> None:
    (tmp_path / 'own.yaml').write_text(FILE)
    node = NodeProcess(tmp_path, ['--ros-args', '--params-file', str(tmp_path / 'own.yaml')])
    try:
        found = peer_apart.parameters(*OF_FILE)
        assert found == OF_FILE
        assert [type(value) for value in found.values()] == [float, float, list, list]
    finally:
        node.end()


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
        node: NodeProcess, peer: Peer, right: dict[str, object], failing_model: Path) -> None:
    peer.set_parameters(model=str(failing_model), device='cpu')
    assert not peer.change('configure')
    assert peer.state() == 'unconfigured'
    assert 'not configured:' in node.log().splitlines()[-1]
    peer.set_parameters(model=right['model'])
    assert peer.change('configure')


def test_diagnostics_report_why_the_node_is_not_configured(
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


@pytest.mark.parametrize('name', sorted(READ_ON_CONFIGURE))
def test_a_configured_node_refuses_what_is_read_on_configure(
        node: NodeProcess, peer: Peer, right: dict[str, object], name: str) -> None:
    assert peer.change('configure')
    other = {bool: True, str: 'other', list: ['roof']}[type(DEFAULTS[name])]
    result, = peer.set_parameters(**{name: other})
    assert not result.successful
    assert result.reason == (f'parameter {name} is read on configure: deactivate and clean up '
                             'the node, set it, and configure again')
    assert peer.set_parameters(**{name: right[name]})[0].successful  # nothing changes


@pytest.mark.parametrize('name, value', [
    ('max_age', 0.25), ('max_rate', 5.0), ('max_pixels', 10_000), ('min_confidence', 0.5),
    ('invalid_images', 'drop'), ('frozen_frames', 0), ('black_level', 0.0),
    ('overexposed_share', 1.0), ('blur_level', 0.0), ('camera_timeout', 2.0),
    ('max_allowed_processing_time_ms', 80.0), ('overlay_alpha', 0.1)])
def test_a_configured_node_takes_the_others(node: NodeProcess, peer: Peer,
                                            right: dict[str, object], name: str,
                                            value: object) -> None:
    assert peer.change('configure', 'activate')
    assert peer.set_parameters(**{name: value})[0].successful


def test_a_live_value_that_no_rule_allows_is_refused(node: NodeProcess, peer: Peer,
                                                     right: dict[str, object]) -> None:
    assert peer.change('configure')
    result, = peer.set_parameters(invalid_images='hide')
    assert not result.successful
    assert result.reason.startswith("parameter invalid_images is 'hide': it must be one of")


def test_a_live_value_holds_for_the_next_image(node: NodeProcess, peer: Peer,
                                               right: dict[str, object]) -> None:
    assert peer.change('configure', 'activate')
    camera, label, status = peer.street_camera('label', 'status')
    assert peer.set_parameters(min_confidence=1.0)[0].successful
    unsure, = peer.ask(camera, street_image(), label)
    assert np.mean(pixels_of(unsure) == 255) > 0.9
    assert peer.set_parameters(min_confidence=0.0)[0].successful
    sure, = peer.ask(camera, street_image(), label)
    assert pixels_of(sure).max() < 255
    assert peer.set_parameters(max_pixels=45 * 61 - 1)[0].successful
    rejected, = peer.ask(camera, street_image(), status)
    assert 'max_pixels' in rejected.status[0].message


def test_a_new_camera_is_used_from_the_next_configure_on(node: NodeProcess, peer: Peer,
                                                         right: dict[str, object]) -> None:
    assert peer.set_parameters(cameras=['roof'])[0].successful
    peer.go_to('active')
    assert peer.node.count_publishers('/segmentation/label') == 0
    label = peer.listen(Image, '/roof/segmentation/label')
    peer.connect(peer.advertise(Image, '/roof/image'),
                 street_image, label)


def test_autostart_with_a_wrong_model_leaves_a_node_that_can_be_configured(
        peer_apart: Peer, model_file: Path, tmp_path: Path) -> None:
    with running_node(tmp_path, model='/nowhere/drive.onnx') as node:
        peer_apart.wait_for(lambda: '[ERROR]' in node.log(), 'the error')
        assert peer_apart.state() == 'unconfigured'
        log = node.log()
        lines = [line for line in log.splitlines() if '[segret]' in line]  # not the middleware's
        assert len(lines) == 1 and 'Traceback' not in log, log
        assert '/nowhere/drive.onnx: no such model file' in lines[0]
        assert peer_apart.set_parameters(model=str(model_file))[0].successful
        assert peer_apart.change('configure', 'activate')


@pytest.mark.parametrize('parameters, message', [
    ({'overlay_alpha': 2.0}, 'overlay_alpha out of range'),
    ({'overlay_alpha': 2}, 'overlay_alpha out of range'),
    ({'overlay_alpha': 'half'}, "parameter overlay_alpha is 'half': it must be a number"),
    ({'cameras': [False]}, 'parameter cameras is [False]: it must be a list of texts'),
    ({'model': 3}, "write it in quotes, \"model:='3'\" in a shell"),
    ({'not a name': 1}, "Couldn't parse parameter override rule: '-p not a name:=1'")])
def test_an_impossible_argument_ends_the_program_with_one_line(
        tmp_path: Path, parameters: dict[str, object], message: str) -> None:
    with running_node(tmp_path, **parameters) as node:
        assert node.wait() == 1
        line, = node.log().splitlines()
        assert line.startswith('segret_node: ') and message in line
        assert '.c:' not in line  # where in rcl's source it was noticed helps nobody


def test_help_explains_every_parameter(tmp_path: Path) -> None:
    program = NodeProcess(tmp_path, ['--help'])
    assert program.wait() == 0
    text = program.log()
    for name, default in DEFAULTS.items():
        assert f'  {name} ({default!r}): ' in text


def test_a_misspelt_parameter_is_reported(tmp_path: Path, peer_apart: Peer) -> None:
    with running_node(tmp_path, max_agee=0.5, robot='rover', use_sim_time=False,
                      autostart=False) as started:
        peer_apart.wait_for(lambda: 'robot' in started.log(), 'the warnings')
        peer_apart.state()  # it answers when it has said all
        warnings = started.lines('[WARN]')
    assert len(warnings) == 2
    assert "'max_agee' is no parameter of this node and is ignored: did you mean max_age?" \
        in warnings[0]
    assert "'robot' is no parameter of this node" in warnings[1]
    assert 'segret_node --help lists them' in warnings[1]
