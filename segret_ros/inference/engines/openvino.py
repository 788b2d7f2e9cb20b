# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network on OpenVINO, on a CPU."""

import os
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from segret_ros.errors import reason
from segret_ros.inference import telemetry
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.prediction import HostPrediction
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError
from segret_ros.inference.processor import processor_facts, read_cpuinfo

with telemetry.switched_off():
    import openvino

BUILT = 'openvino.blob'  # of the folder that `build` fills
TILE_LEAF = 0x1d  # of CPUID, Intel SDM volume 2A: the palettes of AMX's tiles
WITHOUT_TILES = 'AVX512_CORE_FP16'  # the last instruction set before AMX, as oneDNN names them


class OpenVinoEngine:
    """
    A model on the CPU; see `Engine`.

    It computes in bfloat16 on processors where that is faster: the rounding changes about one
    label in a thousand (docs/performance.md). Elsewhere it computes in float32.

    :param streams: images at once, on a core each; None: one at a time, on all cores.
    :raises ModelError: for a model that OpenVINO can't load.
    """

    device = 'openvino'

    def __init__(self, model: Model, device: str = device, streams: int | None = None,
                 built: Path | None = None) -> None:
        self.precision = 'bfloat16' if _rounds() else 'float32'
        compiled = _compiled(model, streams) if built is None else _loaded(built, streams)
        version = '.'.join(openvino.__version__.split('-')[0].split('.')[:2])
        stored = model.info.precision
        self._input_size = model.info.input_size
        self.name = f"OpenVINO {version}, {self.precision if stored == 'float32' else stored}"
        self._requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()  # free ones
        for _ in range(streams or 1):
            self._requests.put(compiled.create_infer_request())

    @classmethod
    def build(cls, model: Model, device: str, streams: int | None, folder: Path) -> None:
        """Compile a model for this processor; see `build_engine`."""
        (folder / BUILT).write_bytes(_compiled(model, streams).export_model().getvalue())

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute the logits of an image; see `Engine.run`."""
        request = self._requests.get()
        try:
            logits = request.infer([image_rgb[None]], share_inputs=True, share_outputs=True)
            return logits[0][0].copy()
        finally:
            self._requests.put(request)

    def predict(self, image: CameraImage, temperature: float | None) -> HostPrediction:
        """Predict the labels of an image; see `Engine.predict`."""
        return HostPrediction(self.run(image.resized(self._input_size)), image.size, temperature)


def _core() -> openvino.Core:
    """Return OpenVINO, without AMX where that would crash it, as it would with int8 models."""
    if hides_tiles(read_cpuinfo()):
        os.environ.setdefault('ONEDNN_MAX_CPU_ISA', WITHOUT_TILES)  # read at the first use
    return openvino.Core()


def _compiled(model: Model, streams: int | None) -> openvino.CompiledModel:
    core = _core()
    try:
        return core.compile_model(core.read_model(model.content), 'CPU', _settings(streams))
    except RuntimeError as error:
        raise ModelError(f"{model.path}: OpenVINO can't load it ({reason(error)}); {HOW_TO_MAKE}"
                         ) from error


def _loaded(built: Path, streams: int | None) -> openvino.CompiledModel:
    try:
        return _core().import_model((built / BUILT).read_bytes(), 'CPU', _settings(streams))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{built}: OpenVINO can't load the engine in it "
                         f'({reason(error)}): segret_engine clear') from error


def _settings(streams: int | None) -> dict[str, object]:
    use = ({'PERFORMANCE_HINT': 'LATENCY'} if streams is None else
           {'NUM_STREAMS': streams, 'INFERENCE_NUM_THREADS': streams})
    return {**use, 'INFERENCE_PRECISION_HINT': 'bf16' if _rounds() else 'f32'}


def _rounds() -> bool:
    """Return whether to compute in bfloat16 on this processor."""
    return ('BF16' in _core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
            and bfloat16_is_faster(read_cpuinfo()))


def bfloat16_is_faster(cpuinfo: str) -> bool:
    """
    Return whether a processor multiplies faster in bfloat16 than in float32.

    Intel's do with AMX, AMD's with AVX-512 BF16. An Intel processor whose AMX is switched off, as
    virtual machines do, has AVX-512 BF16 too, but takes 1.4 to 1.6 times as long with it.

    :param cpuinfo: text of /proc/cpuinfo; without it the answer is no.
    """
    facts = processor_facts(cpuinfo)
    flags = facts.get('flags', '').split()
    if facts.get('vendor_id') == 'AuthenticAMD':
        return 'avx512_bf16' in flags
    return 'amx_bf16' in flags and not hides_tiles(cpuinfo)


def hides_tiles(cpuinfo: str) -> bool:
    """
    Return whether a virtual machine shows AMX's flags but hides the size of its tiles.

    It is a leaf of CPUID. Without it OpenVINO 2026.4 would set no tiles up, and the process die
    of an illegal instruction, in bfloat16 and in int8.

    :param cpuinfo: text of /proc/cpuinfo; without it the answer is no.
    """
    facts = processor_facts(cpuinfo)
    shown = any(flag.startswith('amx') for flag in facts.get('flags', '').split())
    return shown and int(facts.get('cpuid level', 0)) < TILE_LEAF
