# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags shared among the machines of a Ray cluster: one task a bag, one model a worker."""

from collections.abc import Callable
import socket

from segret_ros.errors import remedy
from segret_ros.inference import telemetry
from segret_ros.offline.evaluation.errors import EvaluationError
from segret_ros.offline.evaluation.evaluate import Evaluator, Job, Options
from segret_ros.offline.evaluation.run import Run

GPU_DEVICES = ('cuda', 'tensorrt', 'torch')
REACH_TIMEOUT_S = 5


class Worker:
    """
    Evaluates bags in a process of the cluster.

    Bags, model and output folder lie where all machines see them under the same path.
    """

    def __init__(self, options: Options) -> None:
        self._evaluator = Evaluator(options, streams=1)

    def told(self) -> dict:
        """Give what the evaluator tells of its engine."""
        return self._evaluator.told()

    def evaluate(self, job: Job) -> str:
        """Evaluate a bag; give what is wrong with it, or nothing."""
        return self._evaluator.evaluate_or_tell(job)


def evaluate_on_ray(run: Run, address: str, done: Callable[[Job], None]) -> dict:
    """
    Evaluate the bags of a run on a Ray cluster; what is wrong with one is kept in its `errors`.

    :param address: of the cluster; empty for this machine alone.
    :param done: called after each bag.
    :return: what the evaluator tells of its engine.
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
        told = ray.get(workers[0].told.remote())
        _share(ray, run, workers, done)
        return told
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise an EvaluationError for an address where nothing answers: Ray waits for minutes."""
    host, _, port = address.rpartition(':')
    try:
        with socket.create_connection((host, int(port)), REACH_TIMEOUT_S):
            pass
    except (OSError, ValueError) as error:
        raise EvaluationError(f'--ray {address}: no cluster answers ({error}); give HOST:PORT as '
                              'ray start --head prints it') from error


def _workers(ray, run: Run) -> list:
    """Give a worker for each processor core, or GPU, of the cluster, but no more than bags."""
    device = run.options.device
    on_gpu = device.split(':')[0] in GPU_DEVICES and device != 'torch:cpu'
    resource = 'GPU' if on_gpu else 'CPU'
    count = min(int(ray.cluster_resources().get(resource, 0)), len(run.open_jobs()))
    if not count:
        raise EvaluationError(f'--ray: the cluster has no {resource}, which --device '
                              f'{run.options.device} needs')
    actor = ray.remote(num_cpus=1, num_gpus=int(on_gpu))(Worker)
    return [actor.remote(run.options) for _ in range(count)]


def _share(ray, run: Run, workers: list, done: Callable[[Job], None]) -> None:
    """Give each worker a bag whenever it has ended one."""
    waiting, idle, running = run.open_jobs(), list(workers), {}
    while waiting or running:
        while waiting and idle:
            job, worker = waiting.pop(0), idle.pop()
            running[worker.evaluate.remote(job)] = job, worker
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
