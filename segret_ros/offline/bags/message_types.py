# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The message types of a bag: what deserialises them and what makes ROS 2 of ROS 1."""

from collections.abc import Callable
from functools import cache, partial

from rosbags.convert.converter import is_same_wireformat, migrate_bytes
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore
from segret_ros.offline.bags.storage import printable
from segret_ros.reason import reason

TYPESTORE = get_typestore(Stores.ROS2_HUMBLE)  # of the oldest distribution that is supported
NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
IDL_RULE = '=' * 80 + '\n'  # before each type of an IDL definition
RENAMED = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}  # since ROS 1


IMAGE, COMPRESSED_IMAGE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


class BagError(ValueError):
    """A bag that can't be used; the message names it, what is wrong and what would work."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class MessageError(BagError):
    """Bytes that are no message of their type."""


class MessageTypes:
    """
    The types of one bag.

    Types that ROS 2 Humble knows are Humble's. Definitions of others are parsed when a message
    is deserialised, so that one that can't be parsed is in nobody else's way.
    """

    def __init__(self) -> None:
        self._stores: dict[str, Callable[[], Typestore]] = {}

    def add(self, type_name: str, definition: MessageDefinition) -> None:
        """Take a type's definition as ROS 2 bags hold it, the first one of a type."""
        if type_name not in TYPESTORE.types and definition.format != MessageDefinitionFormat.NONE:
            self._stores.setdefault(type_name, cache(partial(_store, type_name, definition)))

    def deserialize(self, data: bytes, type_name: str):
        """
        Give a message, with rosbags' classes.

        :raises BagError: for a type without a definition; for data that do not fit it, a
            `MessageError`.
        """
        try:
            store = self._stores.get(type_name, _known_types)()
        except Exception as error:  # of the parser, which raises many kinds
            raise BagError(f"the bag's definition of {type_name} can't be parsed "
                           f'({reason(error)}): record the topic with another type') from error
        if type_name not in store.types:
            raise BagError(f'no definition of {type_name} is known: record into MCAP, which holds '
                           'the definitions of its messages')
        try:
            return store.deserialize_cdr(data, type_name)
        except Exception as error:  # SerdeError, but as well what damaged data make of it
            raise MessageError(f'{len(data)} bytes are no {type_name} ({reason(error)})'
                               ) from error

    def from_ros1(self, type_name: str,
                  definition: MessageDefinition) -> tuple[str, Callable[[bytes], bytes]]:
        """
        Give the name that a ROS 1 type has in ROS 2, and what converts its messages to CDR.

        :raises BagError: for a type without a usable definition.
        """
        try:
            source = _ros1_store(type_name, definition)
            name = ros2_name(type_name)
            if name not in TYPESTORE.types:
                self._stores.setdefault(name, cache(partial(_as_ros2, source, type_name)))
            target = self._stores.get(name, _known_types)()
            if is_same_wireformat(source, target, type_name, name):
                return name, partial(target.ros1_to_cdr, typename=name)
        except Exception as error:  # of the parser, which raises many kinds
            raise BagError(f"the definition of {type_name} can't be used ({reason(error)})"
                           ) from error
        return name, partial(migrate_bytes, source, target, type_name, name, {},
                             src_is2=False, dst_is2=True)


def ros2_name(type_name: str) -> str:
    """Give the name that a type of ROS 1 has in ROS 2."""
    return RENAMED.get(type_name, type_name)


@cache
def _known_types() -> Typestore:
    """Return what is taken of types that a bag does not define: Humble's, and vision_msgs."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register({
        **get_types_from_msg('uint16 class_id\nstring class_name', 'vision_msgs/msg/VisionClass'),
        **get_types_from_msg('std_msgs/Header header\nvision_msgs/VisionClass[] class_map\n'
                             'float32 threshold', 'vision_msgs/msg/LabelInfo')})
    return store


def _store(type_name: str, definition: MessageDefinition) -> Typestore:
    """Give the store of a ROS 2 type, which a definition is complete for."""
    store = get_typestore(Stores.EMPTY)
    if definition.format == MessageDefinitionFormat.MSG:
        store.register(get_types_from_msg(definition.data, type_name))
        return store
    for part in definition.data.split(IDL_RULE):
        text = part.split('\n', 1)[1] if part.startswith('IDL: ') else part
        if text.strip():
            store.register(get_types_from_idl(text))
    return store


def _ros1_store(type_name: str, definition: MessageDefinition) -> Typestore:
    """Give the store of a ROS 1 type, by its definition or else as ROS Noetic has it."""
    if definition.data:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definition.data, type_name))
        return store
    return get_typestore(Stores.ROS1_NOETIC)


def _as_ros2(source: Typestore, type_name: str) -> Typestore:
    """Give the store of a ROS 1 type that ROS 2 Humble lacks; its header is the one of ROS 2."""
    text = source.generate_msgdef(type_name, ros_version=2)[0]
    known = ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time',
             'builtin_interfaces/msg/Duration')
    store = get_typestore(Stores.EMPTY)
    store.register({**get_types_from_msg(text, type_name),
                    **{name: TYPESTORE.fielddefs[name] for name in known}})
    return store
