"""What to do without a package that everybody needs, but that comes as one of several."""

import platform

# PyPI has no wheels with CUDA for ARM.
FOR_A_GPU = ('for a Jetson the wheel that docs/jetson.md tells of'
             if platform.machine() == 'aarch64' else
             "for an NVIDIA GPU pip install 'onnxruntime-gpu[cuda,cudnn]>=1.19'")
INSTALL_ONNXRUNTIME = f"pip install 'onnxruntime>=1.19', or {FOR_A_GPU}"
ONNXRUNTIME = f'ONNX Runtime is not installed: {INSTALL_ONNXRUNTIME}'
