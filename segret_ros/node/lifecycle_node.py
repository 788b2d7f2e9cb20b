# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The lifecycle node `segret`: camera topics in, label topics out."""

from collections.abc import Callable
from functools import partial, wraps
import traceback

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from segret_ros.files.share import default_model
from segret_ros.inference import Model, Segmenter
from segret_ros.inference.serving.supervisor import Supervisor
from segret_ros.node.camera import Camera
from segret_ros.node.diagnostics import camera_status, node_status
from segret_ros.node.distribution import ManagedNode
from segret_ros.node.image_topic import image_topic, is_remapped
from segret_ros.node.parameters import (
    as_declared,
    changed_parameters,
    declare_parameters,
    Parameters,
    read_parameters,
    unknown_parameters,
)
from segret_ros.node.worker import Worker
from segret_ros.reason import reason

DIAGNOSTICS_PERIOD_S = 1.0

Transition = Callable[['SegretNode', LifecycleState], TransitionCallbackReturn]


def told(failed: str) -> Callable[[Transition], Transition]:
    """
    Return a decorator of a transition that logs and keeps what it raises, for rclpy drops it.

    The transition then ends in an error, and `on_error` undoes the half of it that was done.

    :param failed: what to call a node whose transition failed.
    """
    def decorate(transition: Transition) -> Transition:
        @wraps(transition)
        def run(self: 'SegretNode', state: LifecycleState) -> TransitionCallbackReturn:
            try:
                result = transition(self, state)
            except Exception as error:
                self.note_problem(failed, error)
                return TransitionCallbackReturn.ERROR
            if result == TransitionCallbackReturn.SUCCESS:
                self.problem = ''
            return result
        return run
    return decorate


class SegretNode(ManagedNode):
    """
    Labels the newest image of each camera.

    configure loads the model and makes the publishers, activate subscribes and starts the worker
    thread, deactivate and cleanup undo both. Inference runs in the worker, so the executor answers
    services and transitions meanwhile.
    """

    def __init__(self) -> None:
        super().__init__('segret')
        declare_parameters(self)
        for sentence in unknown_parameters(self):
            self.get_logger().warning(sentence)
        self._configured: Parameters | None = None  # those in force, once configured
        self._supervisor: Supervisor | None = None
        self._segmenter: Segmenter | None = None
        self._cameras: dict[str, Camera] = {}
        self._worker: Worker | None = None
        self._dropped: dict[str, int] = {}
        self.problem = ''  # why the last transition failed
        self._finalized = False
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # By the steady clock: a simulated one may stand still, and then most of all it matters.
        self._diagnostics_timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._publish_diagnostics,
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, as all of rclpy's ways do in the end; see `as_declared`."""
        try:
            parameters = [as_declared(item) for item in parameter_list]
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return super().set_parameters_atomically(parameters)

    def start(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Configure and activate, if the parameter `autostart` says so and nobody stops it."""
        if is_stopped():
            return
        if not self.get_parameter('autostart').value:
            self.get_logger().info('unconfigured: autostart is false, so a lifecycle manager, or '
                                   f'ros2 lifecycle set {self.get_fully_qualified_name()} '
                                   'configure, has to start it')
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS and not is_stopped():
            self.trigger_activate()

    def finalize(self) -> None:
        """Shut down, unless somebody's lifecycle service has done so already."""
        if not self._finalized:
            self.trigger_shutdown()

    def note_problem(self, failed: str, error: Exception) -> None:
        """Log why a transition failed, and keep it for the diagnostics."""
        self.problem = f'{failed}: {reason(error)}'
        self.get_logger().error(self.problem)
        self.get_logger().debug(traceback.format_exc())

    @told('not configured')
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model and make the publishers."""
        try:
            parameters = read_parameters(self)
            self._check_topics(parameters)
            model = Model.load(parameters.model or default_model())
            self._supervisor = Supervisor(model, parameters.device,
                                          parameters.allow_unproven_engine)
            self._segmenter = Segmenter(model, engine=self._supervisor)
            self._segmenter.warm_up()
            for name in parameters.cameras:
                self._cameras[name] = Camera(self, name, parameters, self._segmenter.info)
                self._cameras[name].advertise()
        except Exception as error:  # as of a wrong model: it may be set right and tried again
            self._release()
            self.note_problem('not configured', error)
            return TransitionCallbackReturn.FAILURE
        self._configured = parameters
        self.get_logger().info(
            f'inactive: model {model.name} on {self._supervisor.device} '
            f'({self._supervisor.name}), {len(model.info.labels)} classes')
        return TransitionCallbackReturn.SUCCESS

    @told('not activated')
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Latch the labels' meaning, start the worker and listen to the cameras."""
        super().on_activate(state)
        self._worker = Worker(self, self._cameras, self._segmenter, lambda: self._configured)
        self._worker.wait_until_warm()
        for camera in self._cameras.values():
            camera.publish_label_info(self._segmenter.info)
            camera.subscribe(partial(self._worker.put, camera))
            self.get_logger().info(f'active: {camera.route}')
        return TransitionCallbackReturn.SUCCESS

    @told('not deactivated')
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and let the worker end its frame."""
        self._stop()
        self.get_logger().info('inactive: listens to no camera')
        return super().on_deactivate(state)

    @told('not cleaned up')
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the publishers down and let go of the model."""
        self._release()
        self.get_logger().info('unconfigured: without model and publishers')
        return TransitionCallbackReturn.SUCCESS

    @told('not shut down')
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, from any state."""
        self._stop()
        self._release()
        self._finalized = True
        self.get_logger().info('finalized')
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, so that configure can be tried again; the problem stays to be told."""
        try:
            self._stop()
            self._release()
        except Exception as error:
            self.note_problem('ended by an error', error)
            self._finalized = True  # which an error in here leads to
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        for camera in self._cameras.values():
            camera.unsubscribe()
        if self._worker is not None:
            self._worker.stop()
            self._dropped = dict(self._worker.frames.dropped)
            self._worker = None

    def _release(self) -> None:
        for camera in self._cameras.values():
            camera.destroy()
        self._cameras = {}
        if self._supervisor is not None:
            self._supervisor.close()
        self._supervisor = None
        self._segmenter = None
        self._configured = None

    def _check_topics(self, parameters: Parameters) -> None:
        """Raise a ValueError where two cameras have the same topics; warn of unused rules."""
        owners: dict[str, str] = {}
        for name in parameters.cameras:
            label = f'{name}/segmentation/label' if name else 'segmentation/label'
            for full in (image_topic(self, name, parameters).name,
                         self.resolve_topic_name(label)):
                if full in owners:
                    raise ValueError(f'cameras {owners[full]!r} and {name!r} both have the topic '
                                     f'{full}: remap each to a topic of its own')
                owners[full] = name
        if is_remapped(self, 'image') and len(parameters.cameras) > 1 \
                and '' not in parameters.cameras:
            self.get_logger().warning(
                'image is remapped, but no camera has a topic of that name: remap '
                + ' and '.join(f'{name}/image' for name in parameters.cameras))

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse what can't change now; the rest is in force from the next image on."""
        if self._configured is None:
            return SetParametersResult(successful=True)
        try:
            self._configured = changed_parameters(
                self._configured, {item.name: item.value for item in parameters})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        name, active = self.get_fully_qualified_name(), self._worker is not None
        for camera in self._cameras.values() if active else ():
            camera.watch.check_silence(self._configured.camera_timeout)
        dropped = self._worker.frames.dropped if active else self._dropped
        model = self._segmenter.model if self._segmenter is not None else None
        engine = self._supervisor.status if self._supervisor is not None else None
        array = DiagnosticArray(status=[
            node_status(name, model, engine, active, self.problem),
            *(camera_status(name, camera, dropped.get(camera.name, 0), self._configured, active)
              for camera in self._cameras.values())])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
