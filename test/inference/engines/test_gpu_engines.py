# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What runs on a GPU, on a CPU: bound tensors, heads, and what ONNX Runtime is told of the GPU."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import tempfile

import cv2
import label_head
import numpy as np
import onnx
from onnxruntime import InferenceSession, SessionOptions
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import DeviceError, Model, ModelError, Segmenter
from segret_ros.inference.confidence import confidence_of
from segret_ros.inference.engines import cuda as cuda_engine, onnx_runtime
from segret_ros.inference.engines.bound import BoundEngine, heads_on, LABEL_HEAD
from segret_ros.inference.engines.cpu import CPU, open_session, session_options
from segret_ros.inference.engines.device import gpu_of
from segret_ros.inference.engines.devices import CUDA, lacks, TENSORRT
from segret_ros.inference.engines.engine import build_engine, needs_building, open_engine
from segret_ros.inference.labels import Blocks
from taken import taken

SIZES = [(360, 480), (270, 481), (45, 60), (77, 33), (1, 1)]
without_gpu = pytest.mark.skipif(not lacks('cuda'), reason='this machine has CUDA')


def on_cpu(path: str | Path) -> BoundEngine:
    """Open a `BoundEngine` whose tensors lie in the memory of the CPU."""
    options = session_options()
    options.intra_op_num_threads = 1
    network = open_session(path, options, [(CPU, {})])
    return BoundEngine(network, heads_on(options, [(CPU, {})]), ('cpu', 0))


@pytest.fixture(scope='module')
def engine() -> BoundEngine:
    """Open the shipped model on bound tensors."""
    return on_cpu(default_model())


def test_labels_and_confidence_are_those_of_the_cpu(frames: list[np.ndarray],
                                                    engine: BoundEngine) -> None:
    exact = Segmenter(default_model(), 'cpu')
    bound = Segmenter(default_model(), 'cpu', engine=engine)
    for frame in frames[::6]:
        for size in SIZES:
            image = cv2.resize(frame, size[::-1]).reshape(*size, 3)
            found, expected = bound(image), exact(image)
            assert np.mean(found.label == expected.label) >= 0.9999
            difference = np.abs(found.confidence.astype(int) - expected.confidence)
            assert difference.max() <= 4
    assert len(np.unique(exact(frames[0]).label)) > 5  # the comparison means something


def test_a_head_does_what_labels_and_confidence_do_on_any_logits(engine: BoundEngine) -> None:
    image = np.random.default_rng(0).integers(0, 256, (360, 480, 3), np.uint8)
    for size in SIZES:
        logits = engine.run(taken(image, size).resized((360, 480)))
        for temperature in (1.0, 0.5, 3.0):
            label, confidence = engine.predict(taken(image, size), temperature).planes
            blocks = Blocks(logits, size)
            assert label.shape == confidence.shape == size
            assert label.dtype == confidence.dtype == np.uint8
            assert np.mean(label == blocks.labels()) >= 0.9999
            expected = confidence_of(blocks, temperature)
            assert np.abs(confidence.astype(int) - expected).max() <= 4
            alone, = engine.predict(taken(image, size), None).planes
            assert np.mean(alone == label) >= 0.9999


def test_logits_are_those_of_the_cpu(engine: BoundEngine, frames: list[np.ndarray]) -> None:
    expected = open_engine(Model.load(default_model()), 'cpu').run(frames[0])
    np.testing.assert_allclose(engine.run(frames[0]), expected, atol=1e-3)


def test_a_result_stays_when_the_next_image_comes(engine: BoundEngine,
                                                  frames: list[np.ndarray]) -> None:
    first, second = frames[0], frames[6]
    results = [engine.run(first), *engine.predict(taken(first, (90, 120)), 1.0).planes]
    kept = [result.copy() for result in results]
    engine.run(second)
    engine.predict(taken(second, (90, 120)), 1.0)
    for result, expected in zip(results, kept):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize('temperature', [None, 1.5])
def test_what_is_bound_outlives_the_call(network_file: Path, temperature: float | None) -> None:
    engine = on_cpu(network_file)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = engine.predict(taken(image, (64, 96)), temperature).planes
    for number in range(20):  # takes the memory of small arrays that nobody holds
        churned = [np.full(4, number, np.int64) for _ in range(20)]
        churned += [np.array(number, np.float32) for _ in range(20)]
        found = engine.predict(taken(image, (64, 96)), temperature).planes
        for plane, its_first in zip(found, expected):
            np.testing.assert_array_equal(plane, its_first)


def test_threads_share_bound_tensors(network_file: Path) -> None:
    engine = on_cpu(network_file)
    sent = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), np.uint8)
    sizes = [(64, 96), (128, 200), (33, 65), (64, 96)]
    alone = on_cpu(network_file)
    expected = [alone.predict(taken(image, size), 1.0).planes for image, size in zip(sent, sizes)]

    def work(image: np.ndarray, size: tuple[int, int]) -> list:
        return [engine.predict(taken(image, size), 1.0).planes for _ in range(20)]

    with ThreadPoolExecutor(len(sent)) as threads:
        found = threads.map(work, sent, sizes)
    for planes, its_first in zip(found, expected, strict=True):
        np.testing.assert_array_equal(planes, [its_first] * 20)


def test_the_shipped_heads_are_what_makes_them() -> None:
    for path, content in label_head.files().items():
        assert path.read_bytes() == content, f'{path}: run python tools/label_head.py'


@pytest.mark.parametrize('path', label_head.files(), ids=lambda path: path.stem)
def test_a_head_has_old_operators_alone(path: Path) -> None:
    model = onnx.load(path)
    assert [entry.version for entry in model.opset_import] == [11]
    assert {node.domain for node in model.graph.node} == {''}


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each GPU have 2 GiB more than the one before it, and the first 8."""
    monkeypatch.setattr(cuda_engine, 'memory_of', lambda number: (8 + 2 * number) << 30)


def test_options_of_cuda(gpus: None) -> None:
    (provider, options), (fallback, none) = cuda_engine.cuda_providers(3)
    assert (provider, fallback, none) == (CUDA, CPU, {})
    assert options == {'device_id': '3', 'gpu_mem_limit': str(7 << 30),
                       'arena_extend_strategy': 'kSameAsRequested', 'use_tf32': '0',
                       'cudnn_conv_algo_search': 'EXHAUSTIVE', 'do_copy_in_default_stream': '1'}
    (_, captured), _ = cuda_engine.cuda_providers(3, capture=True)
    assert captured == {**options, 'enable_cuda_graph': '1'}


def test_the_first_gpu_is_not_named(gpus: None) -> None:
    for (_, options), _ in (cuda_engine.cuda_providers(0), cuda_engine.tensorrt_providers(0)[1:]):
        assert 'device_id' not in options  # ONNX Runtime 1.26 and later warn of each session
    assert cuda_engine.tensorrt_providers(0)[0] == (TENSORRT, {})


def test_options_of_tensorrt(tmp_path: Path, gpus: None) -> None:
    (provider, options), *others = cuda_engine.tensorrt_providers(1)
    assert provider == TENSORRT and others == cuda_engine.cuda_providers(1)
    assert options == {'device_id': '1'}  # a limit of the workspace may leave a layer without any
    (provider, writing), *others = cuda_engine.tensorrt_providers(1, tmp_path / 'engine.onnx')
    assert writing == {**options, 'trt_dump_ep_context_model': 'True',
                       'trt_ep_context_file_path': str(tmp_path / 'engine.onnx'),
                       'trt_ep_context_embed_mode': '1'}


@pytest.mark.parametrize(('device', 'number'), [
    ('cuda', 0), ('cuda:0', 0), ('cuda:12', 12), ('tensorrt', 0), ('tensorrt:1', 1), ('torch', 0),
    ('torch:2', 2), ('torch:cpu', None), ('cpu', None), ('openvino', None)])
def test_a_device_tells_its_gpu(device: str, number: int | None) -> None:
    assert gpu_of(device) == number


@pytest.mark.parametrize('device', ['cuda:x', 'tensorrt:', 'torch:gpu', 'cpu:0', 'openvino:1', '',
                                    'auto', 'torch:cpu:0', 'cuda:٣'])
def test_another_word_is_no_device(device: str) -> None:
    with pytest.raises(DeviceError, match=f'no device {device!r}: use auto, cpu, openvino, cuda'):
        gpu_of(device)


@pytest.mark.parametrize(('device', 'needs'), [
    ('cpu', False), ('cuda:1', False), ('tensorrt', True), ('tensorrt:1', True)])
def test_tensorrt_needs_building(device: str, needs: bool) -> None:
    assert needs_building(device) == needs


@without_gpu
@pytest.mark.parametrize('device', ['cuda:1', 'tensorrt', 'tensorrt:1'])
def test_a_missing_gpu_is_an_error_by_name(tmp_path: Path, device: str) -> None:
    refusal = f"device '{device}' can't be used: .*; or use cpu"
    for built in (None, tmp_path):
        with pytest.raises(DeviceError, match=refusal):
            open_engine(Model.load(default_model()), device, built=built)
    if needs_building(device):
        with pytest.raises(DeviceError, match=refusal):
            build_engine(default_model(), device, None, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(CUDA in onnx_runtime.onnxruntime.get_available_providers(),
                    reason='this wheel has CUDA')
@pytest.mark.filterwarnings('ignore:Specified provider')
@pytest.mark.parametrize('providers_on', [cuda_engine.cuda_providers,
                                          cuda_engine.tensorrt_providers])
def test_a_session_that_fell_back_is_refused(gpus: None, providers_on: Callable) -> None:
    providers = providers_on(0)
    with pytest.raises(DeviceError, match=f'{providers[0][0]} did not start'):
        cuda_engine.open_on_gpu(default_model(), session_options(), providers)


@pytest.fixture
def broken_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ONNX Runtime fail as a provider does that can't be made; others start."""
    create = InferenceSession._create_inference_session

    def fail(session: InferenceSession, providers: list, *arguments) -> None:
        if CUDA in str(providers):
            session._fallback_providers = [CPU]
            raise RuntimeError('CUDA failure 2: out of memory\nmore')
        create(session, providers, *arguments)

    monkeypatch.setattr(InferenceSession, '_create_inference_session', fail)


def test_why_a_provider_fails_is_told(gpus: None, broken_provider: None,
                                      capfd: pytest.CaptureFixture) -> None:
    reason = r'\(CUDA failure 2: out of memory\)'
    with pytest.raises(DeviceError, match=f'^{CUDA} did not start {reason}: use another'):
        cuda_engine.open_on_gpu(default_model(), session_options(), cuda_engine.cuda_providers(0))
    with pytest.raises(DeviceError, match=f"^GPU 0 can't make the labels {reason}: use another"):
        cuda_engine.heads_on_gpu(0)
    assert capfd.readouterr().out == ''


def test_the_first_error_of_two_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments, **named) -> None:
        try:
            raise RuntimeError('CUDA failure 2: out of memory')
        except RuntimeError as error:
            raise Exception('Conflicting session configuration') from error

    monkeypatch.setattr(onnx_runtime, 'InferenceSession', fail)
    with pytest.raises(ModelError, match=r'\(CUDA failure 2: out of memory\)') as caught:
        open_session(default_model(), session_options(), [(CPU, {})])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_damaged_file_is_no_fault_of_the_gpu(gpus: None, tmp_path: Path) -> None:
    (tmp_path / 'cut.onnx').write_bytes(default_model().read_bytes()[:1000])
    with pytest.raises(ModelError, match="cut.onnx: ONNX Runtime can't load it"):
        cuda_engine.open_on_gpu(tmp_path / 'cut.onnx', session_options(), [(CPU, {})])


@pytest.mark.filterwarnings('ignore:Specified provider')
@without_gpu
def test_a_head_on_the_cpu_is_refused(gpus: None) -> None:
    with pytest.raises(DeviceError, match=r"GPU 1 can't make the labels \(.*or cpu"):
        cuda_engine.heads_on_gpu(1)


class NotOnGpu:
    """In place of a `BoundEngine`, whose tensors would lie on a GPU."""

    def __init__(self, network: InferenceSession, heads: tuple, place: tuple[str, int]) -> None:
        self.network = network

    def run(self, image_rgb: np.ndarray) -> None:
        """Run the network."""
        self.network.run(['logits'], {'image': image_rgb[None]})


@pytest.fixture
def gpu_of_a_kind(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a GPU lack nothing, and a `NotOnGpu` run in place of what would run there."""
    monkeypatch.setattr(cuda_engine, 'refuse_what_lacks', lambda device: None)
    monkeypatch.setattr(cuda_engine, 'BoundEngine', NotOnGpu)


def test_no_session_on_a_gpu_takes_its_memory_twice(
        gpu_of_a_kind: None, network_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    patterns = []

    def record(path: str | Path, options: SessionOptions, providers: list,
               content: bytes | None = None) -> InferenceSession:
        patterns.append(options.enable_mem_pattern)
        file = providers[0][1].get('trt_ep_context_file_path')
        if file:
            Path(file).touch()
        return open_session(network_file, session_options(), [(CPU, {})])

    monkeypatch.setattr(cuda_engine, 'open_on_gpu', record)
    monkeypatch.setattr(cuda_engine, 'heads_on', lambda options, providers: patterns.append(
        options.enable_mem_pattern))
    model = Model.load(network_file)
    cuda_engine.CudaEngine(model, 'cuda')
    cuda_engine.TensorRtEngine(model, 'tensorrt', built=tmp_path)
    cuda_engine.TensorRtEngine(model, 'tensorrt')
    cuda_engine.TensorRtEngine.build(model, 'tensorrt', None, tmp_path)
    assert patterns == [False] * 9


@pytest.mark.parametrize('refused_at', ['open', 'run'])
def test_without_a_graph_the_kernels_are_launched(
        gpu_of_a_kind: None, network_file: Path, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture, refused_at: str) -> None:
    opened, captures = [], 'enable_cuda_graph'

    def refuse(at: str, options: dict) -> None:
        if at == refused_at and captures in options:
            raise ModelError('the CPU has to run Resize')

    def open_on_cpu(path: str | Path, options: SessionOptions, providers: list,
                    content: bytes | None = None) -> InferenceSession:
        opened.append(providers[0][1])
        refuse('open', opened[-1])
        return open_session(network_file, session_options(), [(CPU, {})])

    monkeypatch.setattr(cuda_engine, 'open_on_gpu', open_on_cpu)
    monkeypatch.setattr(cuda_engine, 'heads_on', lambda options, providers: ())
    monkeypatch.setattr(NotOnGpu, 'run', lambda engine, image: refuse('run', opened[-1]))
    cuda_engine.CudaEngine(Model.load(network_file), 'cuda:1')
    assert [captures in options for options in opened] == [True, False]
    assert 'no CUDA graph on cuda:1 (the CPU has to run Resize)' in caplog.text


def test_a_head_takes_a_quarter_of_the_memory(gpus: None,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    monkeypatch.setattr(cuda_engine, 'heads_on', lambda options, providers: limits.extend(
        its_options['gpu_mem_limit'] for _, its_options in providers))
    cuda_engine.heads_on_gpu(1)
    assert limits == [str(10 << 28)]


def test_an_engine_of_a_part_of_the_network_is_refused() -> None:
    info, options = Model.load(default_model()).info, session_options()
    whole = open_session(default_model(), options, [(CPU, {})])
    cuda_engine.check_whole(whole, info, Path('tensorrt.onnx'))
    part = open_session(LABEL_HEAD, options, [(CPU, {})])
    with pytest.raises(ModelError, match=r"tensorrt.onnx: TensorRT .* part .*'sizes': \[4\]"):
        cuda_engine.check_whole(part, info, Path('tensorrt.onnx'))


@pytest.mark.parametrize(('written', 'message'), [
    (None, 'TensorRT takes nothing of the network: use cuda:0'),
    (LABEL_HEAD, 'TensorRT takes only a part of the network')])
def test_a_part_is_refused_without_a_folder_too(
        gpu_of_a_kind: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        written: Path | None, message: str) -> None:
    def build(path: Path, options: SessionOptions, providers: list,
              content: bytes | None = None) -> InferenceSession:
        file = providers[0][1].get('trt_ep_context_file_path')
        if file and written:
            Path(file).write_bytes(written.read_bytes())
        return open_session(path, session_options(), [(CPU, {})])

    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.setattr(cuda_engine, 'open_on_gpu', build)
    with pytest.raises(ModelError, match=message):
        cuda_engine.TensorRtEngine(Model.load(default_model()), 'tensorrt')
    assert not list(tmp_path.iterdir())
