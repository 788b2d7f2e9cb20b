# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Evaluate bags on a Ray cluster: one worker per core or GPU, one bag at a time."""

from collections.abc import Callable
import socket
from typing import Any

from segret_ros.errors import remedy
from segret_ros.inference import telemetry
from segret_ros.offline.evaluation.evaluate import Evaluator
from segret_ros.offline.evaluation.frames import Job
from segret_ros.offline.evaluation.output import EvaluationError, Json
from segret_ros.offline.evaluation.run import Run

GPU_DEVICES = ('cuda', 'tensorrt', 'torch')
REACH_TIMEOUT_S = 5


def evaluate_on_ray(run: Run, address: str, done: Callable[[Job], None]) -> Json:
    """
    Evaluate the bags of a run on a Ray cluster; what is wrong with one is kept in its `errors`.

    Bags, model and output folder must have the same paths on all machines.

    :param address: of the cluster; empty for this machine alone.
    :return: what metrics.json says about the engine.
    :raises EvaluationError: when Ray is not installed or not reached.
    """
    try:
        import ray
    except ImportError as error:
        raise EvaluationError(f'--ray needs Ray, which is not installed: {remedy("ray")}'
                              ) from error
    if address:
        _check_reachable(address)
    with telemetry.switched_off():
        ray.init(address=address or 'local', log_to_driver=False)
    try:
        workers = _workers(ray, run)
        engine = ray.get(workers[0].engine_info.remote())
        _share(ray, run, workers, done)
        return engine
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise an EvaluationError if nothing answers at an address; Ray would wait for minutes."""
    host, _, port = address.rpartition(':')
    try:
        with socket.create_connection((host, int(port)), REACH_TIMEOUT_S):
            pass
    except (OSError, ValueError) as error:
        raise EvaluationError(f'--ray {address}: no cluster answers ({error}); give HOST:PORT as '
                              'ray start --head prints it') from error


def _workers(ray: Any, run: Run) -> list[Any]:
    """Start a worker on each core, or GPU, of the cluster, but no more than there are bags."""
    device = run.options.device
    on_gpu = device.split(':')[0] in GPU_DEVICES and device != 'torch:cpu'
    resource = 'GPU' if on_gpu else 'CPU'
    count = min(int(ray.cluster_resources().get(resource, 0)), len(run.open_jobs()))
    if not count:
        raise EvaluationError(f'--ray: the cluster has no {resource}, which --device '
                              f'{run.options.device} needs')
    actor = ray.remote(num_cpus=1, num_gpus=int(on_gpu))(Evaluator)
    return [actor.remote(run.options, streams=1) for _ in range(count)]


def _share(ray: Any, run: Run, workers: list[Any], done: Callable[[Job], None]) -> None:
    """Give each worker another bag whenever it has finished one."""
    waiting, idle = run.open_jobs(), list(workers)
    running: dict[Any, tuple[Job, Any]] = {}  # job and worker by the future of the result
    while waiting or running:
        while waiting and idle:
            job, worker = waiting.pop(0), idle.pop()
            running[worker.try_bag.remote(job)] = job, worker
        (ended,), _ = ray.wait(list(running))
        job, worker = running.pop(ended)
        try:
            error = ray.get(ended)
        except ray.exceptions.RayError as failure:  # the worker died; the others go on
            error, worker = f'its worker ended: {type(failure).__name__}', None
        if error:
            run.errors[job.name] = error
        if worker is not None:
            idle.append(worker)
        elif not idle and not running and waiting:
            raise EvaluationError(f'--ray: no worker is left; the last one ended with {job.name}')
        done(job)
