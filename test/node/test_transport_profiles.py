# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The middlewares' profiles are what their schemas allow; the measuring of ways measures."""

import os
from pathlib import Path
import time
import xml.etree.ElementTree as ET

import pytest
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from segret_ros.files.share import share_directory
import transport

CONFIG = share_directory() / 'config'
FAST_DDS, CYCLONE_DDS = '{http://www.eprosima.com}', '{https://cdds.io/config}'
LARGEST_UDP = 65507  # bytes that a UDP packet over IPv4 can hold
# Elements by their parent, and attributes, as far as the profiles use what the schemas know:
# Fast DDS's fastdds_profiles.xsd, Cyclone DDS's cyclonedds.xsd of 0.9.1 and 0.10.5.
FAST_DDS_KNOWS = {
    'dds': {'profiles'}, 'profiles': {'transport_descriptors', 'participant'},
    'transport_descriptors': {'transport_descriptor'},
    'transport_descriptor': {'transport_id', 'type', 'segment_size', 'port_queue_capacity'},
    'participant': {'@profile_name', '@is_default_profile', 'rtps'},
    'rtps': {'userTransports', 'useBuiltinTransports'}, 'userTransports': {'transport_id'}}
CYCLONE_DDS_KNOWS = {
    'CycloneDDS': {'Domain'}, 'Domain': {'@Id', 'General', 'Internal'},
    'General': {'MaxMessageSize', 'FragmentSize'},
    'Internal': {'SocketReceiveBufferSize', 'Watermarks'},
    'SocketReceiveBufferSize': {'@min', '@max'}, 'Watermarks': {'WhcHigh'}}
UNITS = {'B': 1, 'kB': 2**10, 'KiB': 2**10, 'MB': 2**20, 'MiB': 2**20}  # as Cyclone DDS reads them
SMALL, RATE_HZ, FRAMES = (48, 64), 20.0, 10
LARGE, LARGE_RATE_HZ, LARGE_FRAMES = (1080, 1920), 5.0, 5


def strangers(element: ET.Element, space: str, known: dict[str, set[str]]) -> list[str]:
    """Return what stands where the schema does not know it, `parent/name`, deeper ones too."""
    parent = element.tag.removeprefix(space)
    names = [*(f'@{name}' for name in element.attrib), *(child.tag for child in element)]
    return [f'{parent}/{name}' for name in names
            if name.removeprefix(space) not in known.get(parent, ())
            or not name.startswith(('@', space))] + [
        found for child in element for found in strangers(child, space, known)]


def size_bytes(text: str) -> int:
    """Return a size as Cyclone DDS reads it."""
    number = text.rstrip('BkKiM')
    return int(number) * UNITS[text[len(number):].strip()]


@pytest.fixture(scope='module')
def cyclone_dds() -> ET.Element:
    """Return the root of Cyclone DDS's profile."""
    return ET.parse(CONFIG / 'cyclonedds.xml').getroot()


@pytest.mark.parametrize('name, space, root, known', [
    ('fastdds.xml', FAST_DDS, 'dds', FAST_DDS_KNOWS),
    ('cyclonedds.xml', CYCLONE_DDS, 'CycloneDDS', CYCLONE_DDS_KNOWS)])
def test_profiles_hold_what_the_schema_knows(name: str, space: str, root: str,
                                             known: dict[str, set[str]]) -> None:
    profile = ET.parse(CONFIG / name).getroot()
    assert profile.tag == space + root
    assert strangers(profile, space, known) == []


def test_a_fragment_of_cyclone_dds_fits_a_message_and_a_message_a_packet(
        cyclone_dds: ET.Element) -> None:
    fragment, message = (size_bytes(cyclone_dds.findtext(f'.//{CYCLONE_DDS}{name}'))
                         for name in ('FragmentSize', 'MaxMessageSize'))
    assert fragment < message <= LARGEST_UDP


def test_cyclone_dds_asks_for_room_for_an_image_and_starts_with_less(
        cyclone_dds: ET.Element) -> None:
    buffer = cyclone_dds.find(f'.//{CYCLONE_DDS}SocketReceiveBufferSize')
    assert size_bytes(buffer.get('max')) >= 2160 * 3840 * 3
    assert 'min' not in buffer.attrib  # which ends the process where the kernel grants less
    assert f'rmem_max={size_bytes(buffer.get("max"))}' in (CONFIG / 'cyclonedds.xml').read_text()


def test_rclpy_has_no_loaned_messages() -> None:
    """When this fails, docs/transport.md is out of date: there is a way without a copy."""
    assert not [name for kind in (Publisher, Subscription) for name in dir(kind)
                if 'loan' in name.lower()]


def test_small_images_come_and_are_timed() -> None:
    started = time.monotonic()
    run = transport.measure({}, SMALL, RATE_HZ, FRAMES)
    passed_s = time.monotonic() - started
    assert run['lost'] < 1  # a busy machine lets a newer one take an image's place
    assert 0 < run['median'] <= run['p99'] < passed_s * 1e3
    assert 0 < run['cpu'] * FRAMES / RATE_HZ < 2 * os.cpu_count() * passed_s


def test_large_images_need_the_profile() -> None:
    def lost(way: str) -> float:
        return transport.measure(transport.WAYS[way], LARGE, LARGE_RATE_HZ, LARGE_FRAMES)['lost']

    # A busy machine may lose some by either.
    assert any(lost('profile') == 0 < lost('default') for _ in range(5))


def test_the_table_has_medians_and_leaves_out_runs_without_an_image() -> None:
    run = {'median': 2.0, 'p99': 3.0, 'lost': 0.1, 'cpu': 0.2}
    nothing = {'median': float('nan'), 'p99': float('nan'), 'lost': 1.0, 'cpu': 0.1}
    row = transport.row('way', [run, nothing, run | {'median': 4.0}])
    assert row == ['way', '3.0', '2.0 - 4.0', '3.0', '10.0%', '20%']
    assert transport.row('way', [nothing])[-2:] == ['100.0%', '10%']


def test_a_side_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / 'broken.py'
    broken.write_text('import sys; sys.exit(3)')
    monkeypatch.setattr(transport, '__file__', str(broken))
    with pytest.raises(RuntimeError, match='publish and subscribe failed'):
        transport.measure({}, SMALL, RATE_HZ, FRAMES)
