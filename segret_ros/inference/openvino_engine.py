"""The network on OpenVINO, on a CPU."""

from pathlib import Path
from queue import SimpleQueue

import numpy as np
import openvino
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError

CPUINFO = Path('/proc/cpuinfo')
TILE_LEAF = 0x1d  # of CPUID, Intel SDM volume 2A: the palettes of AMX's tiles


class OpenVinoEngine:
    """
    A model file, loaded on the CPU.

    It computes in bfloat16 on processors where that is faster: the rounding changes about one
    label in a thousand (docs/performance.md). Elsewhere it computes in float32.

    :param path: of a sound model file.
    :param streams: images at once, on a core each; None: one at a time, on all cores.
    :raises ModelError: for a file that OpenVINO can't load.
    """

    device = 'openvino'

    def __init__(self, path: str | Path, streams: int | None = None) -> None:
        core = openvino.Core()
        rounds = ('BF16' in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
                  and bfloat16_is_faster(CPUINFO.read_text() if CPUINFO.is_file() else ''))
        try:
            compiled = core.compile_model(str(path), 'CPU', {
                **({'PERFORMANCE_HINT': 'LATENCY'} if streams is None else
                   {'NUM_STREAMS': streams, 'INFERENCE_NUM_THREADS': streams}),
                'INFERENCE_PRECISION_HINT': 'bf16' if rounds else 'f32'})
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path}: OpenVINO can't load it ({reason}); {HOW_TO_MAKE}"
                             ) from error
        version = '.'.join(openvino.__version__.split('-')[0].split('.')[:2])
        self.name = f'OpenVINO {version}, {"bfloat16" if rounds else "float32"}'
        self._requests = SimpleQueue()  # that are free; each holds one image
        for _ in range(streams or 1):
            self._requests.put(compiled.create_infer_request())

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Give the logits of an image; see `Engine`."""
        request = self._requests.get()
        try:
            logits = request.infer([image_rgb[None]], share_inputs=True, share_outputs=True)
            return logits[0][0].copy()
        finally:
            self._requests.put(request)


def bfloat16_is_faster(cpuinfo: str) -> bool:
    """
    Tell whether a processor multiplies faster in bfloat16 than in float32.

    Intel's do with AMX, AMD's with AVX-512 BF16. An Intel processor whose AMX is switched off, as
    virtual machines do, has AVX-512 BF16 too, but takes 1.4 to 1.6 times as long with it. Some
    virtual machines show AMX's flags but hide the leaf of CPUID that gives the size of its tiles:
    there OpenVINO 2026.4 would set none up, and the process die of an illegal instruction.

    :param cpuinfo: text of /proc/cpuinfo; without it the answer is no.
    """
    lines = (line.partition(':') for line in cpuinfo.splitlines())
    facts = {key.strip(): value.split() for key, _, value in lines}
    flags = facts.get('flags', [])
    if facts.get('vendor_id') == ['AuthenticAMD']:
        return 'avx512_bf16' in flags
    return 'amx_bf16' in flags and int(facts.get('cpuid level', ['0'])[0]) >= TILE_LEAF
