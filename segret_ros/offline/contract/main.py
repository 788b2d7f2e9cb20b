# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_check_contract`."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
import sys

from segret_ros.command_line import FAILED, Parser, REFUSED
from segret_ros.errors import INSTALL_ROS, remedy
from segret_ros.offline.contract.observation import (
    DEFAULT_LABEL,
    Finding,
    number_of,
    Observation,
    observe_bag,
    TopicNames,
)
from segret_ros.offline.contract.rules import check, CONSUMERS
from segret_ros.text_table import text_table

SECONDS = 5.0


def arguments_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(
        prog='segret_check_contract',
        description='Check the label topics of a camera, live or in a bag, against what a '
                    'consumer of them requires. Exit code 2: a requirement is not met; 1: '
                    'nothing could be observed.')
    add = parser.add_argument
    add('--bag', type=Path, metavar='PATH',
        help='folder or file of a bag (default: the live graph)')
    add('--consumer', choices=CONSUMERS, default=CONSUMERS[0],
        help='nav2: the costmap plugin semantic_segmentation_layer; mono8: a node that reads the '
             'label image alone (default: nav2)')
    add('--prefix', default='', metavar='NAME',
        help="of the camera's topics, such as front (default: none)")
    add('--label-topic', metavar='TOPIC',
        help='topic of the labels, with confidence and label_info beside it (default: '
             'PREFIX/segmentation/label, or else the only one of a bag)')
    add('--camera-topic', metavar='TOPIC',
        help="the camera's Image, CompressedImage or CameraInfo (default: the first of "
             'PREFIX/image, image/compressed, camera_info, segmentation/camera_info, image_raw '
             'and image_raw/compressed)')
    add('--cloud-topic', metavar='TOPIC',
        help='the PointCloud2 that the costmap reads beside the labels: check its order, size and '
             'stamps against theirs (nav2 only)')
    add('--seconds', type=float, default=SECONDS,
        help=f'how long to listen (default: {SECONDS:g})')
    return parser


def observe(arguments: argparse.Namespace) -> Observation:
    """
    Read the bag or listen to the live graph, as the command line says.

    :raises ValueError: for a bag, a topic or a time that can't be used, or a missing package.
    """
    prefix = arguments.prefix.strip('/')
    label = arguments.label_topic or (f'{prefix}/{DEFAULT_LABEL}' if prefix else None)
    if arguments.cloud_topic and arguments.consumer != 'nav2':
        raise ValueError(f'--consumer {arguments.consumer} reads no cloud: leave out '
                         '--cloud-topic, or take --consumer nav2')
    topics = label, arguments.camera_topic, arguments.cloud_topic
    if arguments.bag:
        try:
            return observe_bag(arguments.bag, *topics)
        except ModuleNotFoundError as error:
            raise ValueError(f'{error}: {remedy("evaluate")}') from error
    if not arguments.seconds > 0:
        raise ValueError(f'--seconds is {arguments.seconds:g}: listen for longer than 0')
    try:
        from segret_ros.offline.contract.live import observe_graph
    except ModuleNotFoundError as error:
        raise ValueError(f'{error}: {INSTALL_ROS}; --bag needs neither') from error
    return observe_graph(TopicNames.of(*topics), arguments.seconds)


def report(findings: Sequence[Finding], consumer: str) -> str:
    """Return the lines for the terminal."""
    lines = text_table((finding.level, finding.topic, finding.text) for finding in findings)
    counts = Counter(finding.level for finding in findings)
    verdict = 'is not satisfied' if counts['error'] else 'is satisfied'
    return (f'{lines}\n{consumer} {verdict}: {number_of(counts["error"], "error")}, '
            f'{number_of(counts["warning"], "warning")}')


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = arguments_parser().parse_args()
    try:
        findings = check(observe(arguments), arguments.consumer)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'segret_check_contract: {" ".join(str(error).split())}', file=sys.stderr)
        return FAILED
    print(report(findings, arguments.consumer))
    return REFUSED if any(finding.level == 'error' for finding in findings) else 0


if __name__ == '__main__':
    sys.exit(main())
