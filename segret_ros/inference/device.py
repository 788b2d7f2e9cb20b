"""The devices that an engine can be asked for by name."""

DEVICES = 'auto, cpu, openvino, cuda, cuda:N or tensorrt'


class DeviceError(ValueError):
    """A device that does not exist here; the message names what is missing and what is there."""
