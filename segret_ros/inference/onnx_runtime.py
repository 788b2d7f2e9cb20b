"""ONNX Runtime for all that need it: whole, and without its telemetry."""

from segret_ros import missing, telemetry

try:
    with telemetry.switched_off():
        import onnxruntime
except ModuleNotFoundError as error:
    raise ImportError(missing.ONNXRUNTIME, name='onnxruntime') from error

if not hasattr(onnxruntime, 'InferenceSession'):
    raise ImportError('onnxruntime is installed in parts, as happens where one of onnxruntime and '
                      'onnxruntime-gpu is removed: pip uninstall -y onnxruntime onnxruntime-gpu, '
                      'then pip install the one that you want')

# `from onnxruntime import` elsewhere might be the first import of it.
GraphOptimizationLevel = onnxruntime.GraphOptimizationLevel
InferenceSession = onnxruntime.InferenceSession
OrtValue = onnxruntime.OrtValue
SessionOptions = onnxruntime.SessionOptions
