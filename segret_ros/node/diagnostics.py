# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The diagnostics of the node, its engine, its cameras and single images."""

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from segret_ros.inference import Model
from segret_ros.inference.serving.supervisor import EngineStatus, Health
from segret_ros.node.history import COUNTS, History
from segret_ros.node.parameters import Parameters

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def node_status(name: str, model: Model | None, engine: EngineStatus | None, active: bool,
                problem: str) -> DiagnosticStatus:
    """
    Return the state of the node and its engine.

    :param model, engine: None while the node is not configured.
    :param problem: why its last transition failed, or empty.
    """
    status = DiagnosticStatus(name=name)
    status.level, status.message = _node_summary(engine, active, problem)
    if model is not None and engine is not None:
        status.hardware_id = model.name
        status.values = key_values({
            'model': model.name, 'model_hash': model.short_hash, 'device': engine.device,
            'engine': engine.name, 'engine_state': engine.state,
            'engine_failures': engine.failures, 'engine_reopened': engine.reopened,
            'engine_build': engine.build_progress})
    return status


def camera_status(name: str, topic: str, history: History, parameters: Parameters,
                  active: bool) -> DiagnosticStatus:
    """
    Return the state of a camera: its level, what to do about it, and its numbers.

    :param topic: full name of that of its images.
    """
    allowed = parameters.max_allowed_processing_time_ms
    in_range = not allowed or history.last_processing_ms <= allowed
    status = DiagnosticStatus(name=name)
    status.level, status.message = _camera_summary(topic, history, parameters, active, in_range)
    status.values = key_values({
        **{count: history.counts[count] for count in COUNTS},
        'received_hz': history.received.rate(), 'processed_hz': history.latency_ms.rate(),
        'processing_time_ms': history.last_processing_ms,
        'is_processing_time_ms_in_expected_range': in_range,
        **{f'latency_{key}_ms': value for key, value in history.latency_ms.percentiles().items()},
        'rejected_for': '; '.join(f'{count} x {kind}' for kind, count in
                                  history.rejections.most_common()),
        'last_problem': history.last_problem, 'qos_problem': history.qos_problem,
        'stamp_problem': history.stamp_problem, 'topic': topic})
    return status


def image_status(name: str, model: str, problem: str, values: dict[str, object]
                 ) -> DiagnosticStatus:
    """
    Return how the result of an image came about.

    :param problem: why the result is not to be trusted, or empty.
    """
    return DiagnosticStatus(
        level=WARN if problem else OK, hardware_id=model, name=name, message=problem or 'valid',
        values=key_values({'valid': str(not problem).lower(), 'reason': problem, **values}))


def key_values(values: dict[str, object]) -> list[KeyValue]:
    """Return diagnostic values; floats have three decimals."""
    return [KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
            for key, value in values.items()]


def _node_summary(engine: EngineStatus | None, active: bool, problem: str) -> tuple[bytes, str]:
    if problem:
        return ERROR, problem
    if engine is None:
        return WARN, 'not configured'
    if engine.health is Health.CLOSED:
        return ERROR, f'engine {engine.state}'
    if engine.health is not Health.WORKING:
        return WARN, f'engine {engine.state}'
    if not active:
        return WARN, 'not activated'
    if engine.build_problem:
        return WARN, f'active on {engine.device}, for {engine.build_problem}'
    if engine.build_progress:
        return OK, (f'active on {engine.device}, while an engine is built for '
                    f'{engine.build_progress}')
    return OK, 'active'


def _camera_summary(topic: str, history: History, parameters: Parameters, active: bool,
                    in_range: bool) -> tuple[bytes, str]:
    silence_s = history.silence_s()
    reason = f': {history.silence.reason}' if history.silence else ''
    if not active:
        return WARN, 'not activated'
    if silence_s is None and history.qos_problem:
        return ERROR, history.qos_problem
    if silence_s is None:
        return (ERROR if history.silence and history.silence.is_mismatch else WARN,
                f'waiting: no image on {topic} yet{reason}')
    if silence_s > parameters.camera_timeout:
        return ERROR, f'stale: no image on {topic} for {silence_s:.1f} s{reason}'
    if problem := history.recent_problem():
        return WARN, problem
    if not in_range:
        return WARN, (f'processing took {history.last_processing_ms:.1f} ms, and '
                      f'max_allowed_processing_time_ms is '
                      f'{parameters.max_allowed_processing_time_ms:g}: take a smaller model or '
                      'input size, or fewer cameras')
    if problem := history.qos_problem or history.stamp_problem:
        return WARN, problem
    return OK, 'labelling'
