"""What to do without a package that everybody needs, but that comes as one of several."""

ONNXRUNTIME = ('ONNX Runtime is not installed: pip install onnxruntime, or for an NVIDIA GPU '
               "pip install 'onnxruntime-gpu[cuda,cudnn]'")
