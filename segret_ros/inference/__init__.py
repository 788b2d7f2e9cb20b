"""Engines that run a model file, and `Segmenter` on top of them; no ROS, no torch."""

from segret_ros.inference.model_info import ModelError, ModelInfo
from segret_ros.inference.onnxruntime_engine import DeviceError, read_model_info
from segret_ros.inference.segmenter import Segmentation, Segmenter

__all__ = ['DeviceError', 'ModelError', 'ModelInfo', 'read_model_info', 'Segmentation',
           'Segmenter']
