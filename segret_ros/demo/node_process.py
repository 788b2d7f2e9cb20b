"""The node in a process of its own, on a DDS domain of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys

from segret_ros.node.transport import use_large_image_profile

STOP_TIMEOUT_S = 10


class NodeError(RuntimeError):
    """The node's process did not do what it should; the message says where its log is."""


def isolate() -> None:
    """Keep this process's DDS traffic, and its children's, on this machine and a domain apart."""
    use_large_image_profile()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))


@contextmanager
def node_process(parameters: dict[str, str], remappings: dict[str, str],
                 log: Path) -> Iterator[subprocess.Popen]:
    """
    Run `segret_node` while the block runs, then stop it as Ctrl-C would.

    :param parameters: values by name.
    :param remappings: new names by old.
    :param log: gets what it prints.
    :raises NodeError: when it ends badly.
    """
    command = [sys.executable, '-m', 'segret_ros.node.main', '--ros-args']
    for flag, values in (('-p', parameters), ('-r', remappings)):
        command += [argument for name, value in values.items()
                    for argument in (flag, f'{name}:={value}')]
    with open(log, 'wb') as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
        process.send_signal(signal.SIGINT)
        if process.wait(STOP_TIMEOUT_S) != 0:
            raise NodeError(f'the node ended with exit code {process.returncode}: read {log}')
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def peak_memory_mb(process: subprocess.Popen) -> float:
    """Give the largest resident memory of a running process so far, in MB."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    line = next(line for line in status.splitlines() if line.startswith('VmHWM'))
    return int(line.split()[1]) / 1e3
