# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A component container that loads nothing: it writes down what it was asked to load."""

import json
import os
from pathlib import Path

from composition_interfaces.srv import LoadNode
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import parameter_value_to_python
from segret_ros.node.distribution import large_image_profile


def load(request: LoadNode.Request, response: LoadNode.Response) -> LoadNode.Response:
    """Append the request as a line of JSON to the file that $LOADED names."""
    (variable, _), = large_image_profile().items()
    line = {'plugin': request.plugin_name, 'package': request.package_name,
            'name': f'{request.node_namespace}/{request.node_name}',
            'remappings': list(request.remap_rules), 'profile': os.environ.get(variable),
            'parameters': {item.name: parameter_value_to_python(item.value)
                           for item in request.parameters}}
    with Path(os.environ['LOADED']).open('a') as file:
        file.write(json.dumps(line) + '\n')
    response.success = True
    response.full_node_name = line['name']
    return response


def main() -> None:
    """Serve until the launch system ends it."""
    rclpy.init()
    node = rclpy.create_node('component_container')
    node.create_service(LoadNode, '~/_container/load_node', load)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
