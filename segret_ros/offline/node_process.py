# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The node in a process of its own, on a DDS domain of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
from dataclasses import dataclass
import itertools
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from segret_ros.node.distribution import LOCALHOST, use_large_image_profile
from segret_ros.offline.bags import BagError
from segret_ros.offline.bags.cameras import CameraTopic
from segret_ros.offline.machine import memory_mb

STOP_TIMEOUT_S = 60
PR_SET_PDEATHSIG = 1  # of prctl(2)


class NodeError(RuntimeError):
    """The node's process failed; the message names its log."""


@dataclass(frozen=True)
class NodeProcess:
    """The running node, and the file that gets its output."""

    process: subprocess.Popen
    log: Path

    def check(self) -> None:
        """Raise a NodeError if the node has ended."""
        if self.process.poll() is not None:
            raise NodeError(f'the node ended with exit code {self.process.returncode}: read '
                            f'{self.log}')

    def peak_memory_mb(self) -> float:
        """Return the node's peak resident memory so far, in MB."""
        return memory_mb('VmHWM', self.process.pid)


def isolate() -> None:
    """Keep the DDS traffic of this process and its children local, on a domain of its own."""
    use_large_image_profile()
    os.environ.setdefault(*LOCALHOST)
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))


def node_arguments(model: Path, device: str, cameras: list[CameraTopic],
                   min_confidence: float = 0.0) -> list[str]:
    """
    Return the command line of a node for some cameras and the time of /clock.

    :param min_confidence: 0..1; less probable pixels become unknown.
    :raises BagError: when some cameras are compressed and others are not.
    """
    parameters = {'model': str(model.resolve()), 'device': device, 'use_sim_time': True,
                  'min_confidence': float(min_confidence),
                  'cameras': [camera.name for camera in cameras],
                  'image_transport': image_transport(cameras)}
    # JSON is YAML, and its quotes keep a device `0` or a camera `no` a string.
    flags = [('-p', f'{name}:={json.dumps(value)}') for name, value in parameters.items()]
    flags += [('-r', f'{old}:={new}') for camera in cameras
              for old, new in remappings(camera).items()]
    return ['--ros-args', *itertools.chain.from_iterable(flags)]


@contextmanager
def node_process(arguments: list[str], log: Path) -> Iterator[NodeProcess]:
    """
    Run `segret_node` during the block, then stop it as Ctrl-C would.

    :raises NodeError: when it ends with an error.
    """
    with open(log, 'wb') as output:
        process = subprocess.Popen([sys.executable, '-m', 'segret_ros.node.main', *arguments],
                                   stdout=output, stderr=subprocess.STDOUT,
                                   preexec_fn=_die_with_the_parent)
    try:
        yield NodeProcess(process, log)
        process.send_signal(signal.SIGINT)
        if process.wait(STOP_TIMEOUT_S) != 0:
            raise NodeError(f'the node ended with exit code {process.returncode}: read {log}')
    except subprocess.TimeoutExpired as error:
        raise NodeError(f'the node did not end within {STOP_TIMEOUT_S} s: read {log}') from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _die_with_the_parent() -> None:
    """Let the kernel end the node with this process: one left behind would answer the next."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def image_transport(cameras: list[CameraTopic]) -> str:
    """
    Return the node's parameter of that name, which is one for all cameras.

    :raises BagError: when some cameras are compressed and others are not.
    """
    compressed = [camera.topic for camera in cameras if camera.is_compressed]
    if compressed and len(compressed) < len(cameras):
        raw = [camera.topic for camera in cameras if not camera.is_compressed]
        raise BagError(f'{", ".join(compressed)} are compressed images and {", ".join(raw)} are '
                       'not: a node takes one kind, so name those to play with --topics')
    return 'compressed' if compressed else 'raw'


def remappings(camera: CameraTopic) -> dict[str, str]:
    """Return the names of a camera's topics in the bag by those of the node."""
    names = {'image/compressed' if camera.is_compressed else 'image': camera.topic}
    if camera.camera_info is not None:
        names['camera_info'] = camera.camera_info
    return {node_topic(camera, name): topic for name, topic in names.items()}


def node_topic(camera: CameraTopic, name: str) -> str:
    """Return the full name of one of the node's topics."""
    return f'/{camera.name}/{name}' if camera.name else f'/{name}'


def label_topic(camera: CameraTopic) -> str:
    """Return the topic of a camera's labels."""
    return node_topic(camera, 'segmentation/label')


def played_topics(cameras: list[CameraTopic]) -> list[str]:
    """Return the topics of a bag that the node subscribes to."""
    return [topic for camera in cameras for topic in (camera.topic, camera.camera_info)
            if topic is not None]
