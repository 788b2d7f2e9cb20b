# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The parameters for Nav2's semantic layer fit the node and the models that are shipped."""

from pathlib import Path

import pytest
from segret_ros.files.share import share_directory
from segret_ros.files.yaml_file import read_yaml
from segret_ros.inference import Model

LETHAL = 254
MODELS = sorted((share_directory() / 'models').glob('*.onnx'))
LAYER = read_yaml(share_directory() / 'config' / 'nav2_semantic_layer.yaml')[
    'local_costmap']['local_costmap']['ros__parameters']['semantic_segmentation_layer']
SOURCE = LAYER[LAYER['observation_sources']]
GROUPS = [SOURCE[name] for name in SOURCE['class_types']]
# What the layer declares, by type: rclcpp refuses a value of another, and ignores another name.
OF_LAYER = {'plugin': str, 'enabled': bool, 'combination_method': int, 'observation_sources': str,
            'use_approximate_time_sync': bool}
OF_SOURCE = {'segmentation_topic': str, 'confidence_topic': str, 'labels_topic': str,
             'pointcloud_topic': str, 'observation_persistence': float,
             'expected_update_rate': float, 'class_types': list, 'max_obstacle_distance': float,
             'min_obstacle_distance': float, 'tile_map_decay_time': float,
             'visualize_tile_map': bool, 'use_cost_selection': bool}
OF_GROUP = {'classes': list, 'base_cost': int, 'max_cost': int, 'mark_confidence': int,
            'samples_to_max_cost': int, 'dominant_priority': bool}


@pytest.mark.parametrize('model', MODELS, ids=lambda path: path.stem)
def test_each_class_has_one_group(model: Path) -> None:
    named = [name for group in SOURCE['class_types'] for name in SOURCE[group]['classes']]
    assert sorted(named) == sorted(Model.load(model).info.labels.names)


@pytest.mark.parametrize(('settings', 'kinds'), [
    (LAYER, OF_LAYER), (SOURCE, OF_SOURCE), *((group, OF_GROUP) for group in GROUPS)])
def test_each_parameter_is_one_of_the_layer(settings: dict, kinds: dict[str, type]) -> None:
    given = {name: type(value) for name, value in settings.items() if not isinstance(value, dict)}
    assert given == {name: kinds.get(name) for name in given}


def test_the_layer_reads_what_the_node_publishes() -> None:
    topics = [SOURCE[f'{name}_topic'] for name in ('segmentation', 'confidence', 'labels')]
    assert topics == ['/segmentation/label', '/segmentation/confidence',
                      '/segmentation/label_info']


def test_people_and_cars_are_lethal_at_once_and_the_road_is_free() -> None:
    costs = {name: (group['base_cost'], group['max_cost'])
             for group in GROUPS for name in group['classes']}
    assert all(0 <= base <= most <= LETHAL for base, most in costs.values())
    assert costs['road'] == (0, 0)
    assert costs['pedestrian'] == costs['bicyclist'] == costs['car'] == (LETHAL, LETHAL)
    assert SOURCE['traffic']['dominant_priority'] is True


def test_the_cloud_comes_to_where_the_layer_listens() -> None:
    launch = (share_directory() / 'launch' / 'depth_cloud.launch.py').read_text()
    assert f"'cloud': ('{SOURCE['pointcloud_topic']}'," in launch
