# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From an image to labels: `Segmenter`, the models and the engines under it; no ROS, no torch."""

from segret_ros.inference.engines.device import DeviceError, DEVICES
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError, ModelInfo
from segret_ros.inference.segmenter import Segmentation, Segmenter

__all__ = ['DeviceError', 'DEVICES', 'Model', 'ModelError', 'ModelInfo', 'Segmentation',
           'Segmenter']
