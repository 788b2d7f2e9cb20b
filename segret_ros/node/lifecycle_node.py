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
from segret_ros.errors import reason
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

DIAGNOSTICS_PERIOD_S = 1.0

Transition = Callable[['SegretNode', LifecycleState], TransitionCallbackReturn]


def reported(failed: str) -> Callable[[Transition], Transition]:
    """
    Return a decorator for transitions that logs and keeps their errors, which rclpy drops.

    A transition that raises ends in an error, and `on_error` undoes what it had done.

    :param failed: state of a node whose transition failed.
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

    Configure loads the model and creates the publishers, activate subscribes and starts the worker
    thread; deactivate and cleanup undo both. Inference runs in the worker, so the executor answers
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
        self._cameras: list[Camera] = []
        self._worker: Worker | None = None
        self.problem = ''  # why the last transition failed
        self._finalized = False
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # By the steady clock: diagnostics matter most when a simulated clock stands still.
        self._diagnostics_timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._publish_diagnostics,
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, each `as_declared`; all of rclpy's ways to set them end here."""
        try:
            parameters = [as_declared(item) for item in parameter_list]
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return super().set_parameters_atomically(parameters)

    def start(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Configure and activate if the parameter `autostart` is true, unless stopped."""
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
        """Shut down, unless a lifecycle service call has done so already."""
        if not self._finalized:
            self.trigger_shutdown()

    def note_problem(self, failed: str, error: Exception) -> None:
        """Log why a transition failed, and keep it for the diagnostics."""
        self.problem = f'{failed}: {reason(error)}'
        self.get_logger().error(self.problem)
        self.get_logger().debug(traceback.format_exc())

    @reported('not configured')
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model and create the publishers."""
        try:
            parameters = read_parameters(self)
            self._check_topics(parameters)
            model = Model.load(parameters.model or default_model())
            self._supervisor = Supervisor(model, parameters.device,
                                          parameters.allow_unproven_engine)
            self._segmenter = Segmenter(model, engine=self._supervisor)
            self._segmenter.warm_up()
            for name in parameters.cameras:
                self._cameras.append(Camera(self, name, parameters, model.info))
                self._cameras[-1].advertise()
        except Exception as error:  # such as a wrong model, to be corrected and tried again
            self._release()
            self.note_problem('not configured', error)
            return TransitionCallbackReturn.FAILURE
        self._configured = parameters
        self.get_logger().info(
            f'inactive: model {model.name} on {self._supervisor.device} '
            f'({self._supervisor.name}), {len(model.info.labels)} classes')
        return TransitionCallbackReturn.SUCCESS

    @reported('not activated')
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Publish the label info, start the worker and subscribe to the cameras."""
        super().on_activate(state)
        assert self._segmenter is not None and self._configured is not None
        self._worker = Worker(self, self._segmenter, self._configured)
        self._worker.wait_until_warm()
        for camera in self._cameras:
            camera.publish_label_info(self._segmenter.info)
            camera.subscribe(partial(self._worker.on_image, camera))
            self.get_logger().info(f'active: {camera.route}')
        return TransitionCallbackReturn.SUCCESS

    @reported('not deactivated')
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe from the cameras and let the worker finish its frame."""
        self._stop()
        self.get_logger().info('inactive: listens to no camera')
        return super().on_deactivate(state)

    @reported('not cleaned up')
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Destroy the publishers and release the model."""
        self._release()
        self.get_logger().info('unconfigured: without model and publishers')
        return TransitionCallbackReturn.SUCCESS

    @reported('not shut down')
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, from any state."""
        self._stop()
        self._release()
        self._finalized = True
        self.get_logger().info('finalized')
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, so that configure can be tried again; `problem` remains."""
        try:
            self._stop()
            self._release()
        except Exception as error:
            self.note_problem('ended by an error', error)
            self._finalized = True  # which an error in here leads to
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        for camera in self._cameras:
            camera.unsubscribe()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _release(self) -> None:
        for camera in self._cameras:
            camera.destroy()
        self._cameras = []
        if self._supervisor is not None:
            self._supervisor.close()
        self._supervisor = None
        self._segmenter = None
        self._configured = None

    def _check_topics(self, parameters: Parameters) -> None:
        """Raise a ValueError if two cameras share a topic; warn about unused rules."""
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
        """Reject what can't change now; the rest applies from the next image on."""
        if self._configured is None:
            return SetParametersResult(successful=True)
        try:
            self._configured = changed_parameters(
                self._configured, {item.name: item.value for item in parameters})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._worker is not None:
            self._worker.parameters = self._configured
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        name, parameters = self.get_fully_qualified_name(), self._configured
        active = self._worker is not None
        model = self._segmenter.model if self._segmenter is not None else None
        engine = self._supervisor.status if self._supervisor is not None else None
        array = DiagnosticArray(status=[node_status(f'{name}: node', model, engine, active,
                                                    self.problem)])
        if parameters is not None:
            if active:
                for camera in self._cameras:
                    camera.watch.check_silence(parameters.camera_timeout)
            array.status += [
                camera_status(f'{name}: camera {camera.name}'.rstrip(), camera.image.name,
                              camera.watch.history, parameters, active)
                for camera in self._cameras]
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
