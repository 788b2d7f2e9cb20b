"""The lifecycle node `segret`: camera topics in, label topics out."""

import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from segret_ros.inference import Segmenter
from segret_ros.node.camera import Camera
from segret_ros.node.messages import ImageError, key_values
from segret_ros.node.newest_frames import NewestFrames
from segret_ros.node.parameters import declare_parameters, Parameters, read_parameters
from segret_ros.share import default_model

WARNING_PERIOD_S = 5.0
DIAGNOSTICS_PERIOD_S = 1.0


class SegretNode(LifecycleNode):
    """
    Labels the newest image of each camera.

    configure loads the model and makes the publishers, activate subscribes and starts the worker
    thread, deactivate and cleanup undo both. Inference runs in the worker, so the executor answers
    services and transitions meanwhile.
    """

    def __init__(self) -> None:
        super().__init__('segret')
        declare_parameters(self)
        self._configured: Parameters | None = None
        self._segmenter: Segmenter | None = None
        self._cameras: dict[str, Camera] = {}
        self._frames: NewestFrames | None = None
        self._worker: threading.Thread | None = None
        self._configure_error = ''
        self._finalized = False
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._diagnostics_timer = self.create_timer(DIAGNOSTICS_PERIOD_S,
                                                    self._publish_diagnostics)

    def start(self) -> None:
        """Configure and activate, if the parameter `autostart` says so."""
        if not self.get_parameter('autostart').value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def finalize(self) -> None:
        """Shut down, unless somebody's lifecycle service has done so already."""
        if not self._finalized:
            self.trigger_shutdown()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model and make the publishers."""
        self._configure_error = ''
        try:
            self._configured = read_parameters(self)
            model = self._configured.model or default_model()
            segmenter = Segmenter(model, self._configured.device)
            segmenter.warm_up()
        except Exception as error:  # rclpy swallows what leaves a transition, without a word
            self._configure_error = str(error)
            self.get_logger().error(f'not configured: {error}')
            return TransitionCallbackReturn.FAILURE
        self._segmenter = segmenter
        self._cameras = {name: Camera(self, name, self._configured, self._segmenter.info)
                         for name in self._configured.cameras}
        self.get_logger().info(f'model {self._segmenter.model_name} on {self._segmenter.device} '
                               f'({self._segmenter.engine}), '
                               f'{len(self._segmenter.info.labels)} classes')
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Latch the labels' meaning, start the worker and listen to the cameras."""
        super().on_activate(state)
        self._frames = NewestFrames(list(self._cameras))
        self._worker = threading.Thread(target=self._work, name='segret_worker', daemon=True)
        self._worker.start()
        for camera in self._cameras.values():
            camera.publish_label_info(self._segmenter.info)
            camera.subscribe(lambda message, camera=camera: self._on_image(camera, message))
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and let the worker end its frame."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the publishers down and let go of the model."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, from any state."""
        self._stop()
        self._release()
        self._finalized = True
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, so that configure can be tried again."""
        self._stop()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        for camera in self._cameras.values():
            camera.unsubscribe()
        if self._worker is not None:
            self._frames.close()
            self._worker.join()
            self._worker = None

    def _release(self) -> None:
        for camera in self._cameras.values():
            camera.destroy()
        self._cameras = {}
        self._segmenter = None

    def _on_image(self, camera: Camera, message) -> None:
        camera.counts['received'] += 1
        self._frames.put(camera.name, (message, time.perf_counter()))

    def _work(self) -> None:
        """Process the newest frames until the slots close; runs in the worker thread."""
        while (taken := self._frames.take()) is not None:
            name, (message, received) = taken
            camera = self._cameras[name]
            try:
                self._process(camera, message, received)
                camera.counts['processed'] += 1
            except ImageError as error:
                self._skip(camera, 'rejected', error)
            except Exception as error:  # an engine's failure costs the frame, never the node
                self._skip(camera, 'failed', error)

    def _process(self, camera: Camera, message, received: float) -> None:
        started = time.perf_counter()
        image_rgb = camera.decode(message)
        decoded = time.perf_counter()
        result = self._segmenter(image_rgb)
        segmented = time.perf_counter()
        camera.publish(message.header, image_rgb, result)
        published = time.perf_counter()
        stamp = message.header.stamp
        age_ns = self.get_clock().now().nanoseconds - (stamp.sec * 10**9 + stamp.nanosec)
        camera.publish_status(message.header, self._segmenter.model_name, {
            'age_ms': age_ns / 1e6,
            'waiting_ms': (started - received) * 1e3,
            'decode_ms': (decoded - started) * 1e3,
            **{f'{stage}_ms': value for stage, value in result.stages_ms.items()},
            'publish_ms': (published - segmented) * 1e3,
            'processing_time_ms': (published - started) * 1e3,
            'model': self._segmenter.model_name,
            'device': self._segmenter.device,
        })

    def _skip(self, camera: Camera, count: str, error: Exception) -> None:
        camera.counts[count] += 1
        camera.last_problem = f'{count}: {error}'
        self.get_logger().warning(
            f'{camera.image_topic}: frame {camera.last_problem} '
            f'({camera.counts[count]} so far)', throttle_duration_sec=WARNING_PERIOD_S)

    def _publish_diagnostics(self) -> None:
        stamp = self.get_clock().now().to_msg()
        statuses = [self._camera_status(camera) for camera in self._cameras.values()]
        array = DiagnosticArray(status=[self._node_status(), *statuses])
        array.header.stamp = stamp
        self._diagnostics.publish(array)

    def _node_status(self) -> DiagnosticStatus:
        status = DiagnosticStatus(name=f'{self.get_fully_qualified_name()}: node',
                                  level=DiagnosticStatus.OK, message='active')
        if self._configure_error:
            status.level = DiagnosticStatus.ERROR
            status.message = f'not configured: {self._configure_error}'
        elif self._worker is None:
            status.level = DiagnosticStatus.WARN
            status.message = 'not configured' if self._segmenter is None else 'not activated'
        if self._segmenter is not None:
            status.hardware_id = self._segmenter.model_name
            status.values = key_values({'model': self._segmenter.model_name,
                                        'device': self._segmenter.device})
        return status

    def _camera_status(self, camera: Camera) -> DiagnosticStatus:
        dropped = self._frames.dropped[camera.name] if self._frames is not None else 0
        status = DiagnosticStatus(
            name=f'{self.get_fully_qualified_name()}: camera {camera.name}'.rstrip(),
            level=DiagnosticStatus.OK, message='labelling',
            values=key_values({**{count: camera.counts[count] for count in
                                  ('received', 'processed', 'rejected', 'failed')},
                               'dropped': dropped, 'last_problem': camera.last_problem,
                               'topic': camera.image_topic}))
        if not camera.counts['received']:
            status.level = DiagnosticStatus.WARN
            status.message = (f'no image on {camera.image_topic} yet: check the topic, that its '
                              'QoS fits image_reliability, and for large raw images the '
                              'middleware (config/fastdds.xml)')
        return status
