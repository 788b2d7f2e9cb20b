# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines that run a model file, and `Segmenter` on top of them; no ROS, no torch."""

from segret_ros.inference.engines.device import DeviceError, DEVICES
from segret_ros.inference.model_file import read_model_info
from segret_ros.inference.model_info import ModelError, ModelInfo
from segret_ros.inference.segmenter import Segmentation, Segmenter
from segret_ros.inference.serving.recovery import EngineError, RecoveringEngine

__all__ = ['DeviceError', 'DEVICES', 'EngineError', 'ModelError', 'ModelInfo', 'read_model_info',
           'RecoveringEngine', 'Segmentation', 'Segmenter']
