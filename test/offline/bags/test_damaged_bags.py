# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All intact messages of damaged bags are read, and what is lost is reported."""

from pathlib import Path
import random
import shutil
import sqlite3

from bag_files import (
    content,
    CUT,
    drive,
    FORMATS,
    IMAGE,
    LABEL,
    many,
    MCAP,
    mcap,
    MESSAGES,
    MODES,
    ros1,
    rosbag2,
    rosbag2_file,
    split,
    SQLITE,
    sqlite,
    storage_file,
    TOPICS,
    ZSTD_MAGIC,
)
import pytest
from segret_ros.offline.bags import BagError, Damage, open_bag, read_bag, Recorded
import yaml

CUTS = 20


def read(path: Path) -> tuple[list[Recorded], list[Damage]]:
    """Return a bag's readable messages on the drive's topics, and the damage."""
    with open_bag(path) as bag:
        recorded = list(bag.messages([topic for topic in TOPICS if topic in bag.topics]))
        if recorded:
            assert bag.start_ns <= recorded[0].time_ns
        return recorded, bag.damage


def flip(path: Path, position: int) -> None:
    whole = bytearray(path.read_bytes())
    whole[position] ^= 0xff
    path.write_bytes(whole)


def without(*numbers: int) -> list:
    return [item for number, item in enumerate(content(drive())) if number not in numbers]


def is_part(part: list, whole: list) -> bool:
    """Return whether a list is in another, in the same order."""
    rest = iter(whole)
    return all(item in rest for item in part)


@pytest.mark.parametrize('kind', CUT)
def test_all_whole_messages_before_a_cut_are_read(tmp_path: Path, kind: str) -> None:
    written = CUT[kind](tmp_path)
    whole = written.path.read_bytes()
    cuts = random.Random(kind).choices(range(len(whole)), k=CUTS)
    read_of_all = 0
    ends = {end for end in written.ends if end < len(whole)}
    for cut in [*cuts, *range(20), *ends, *(end - 1 for end in ends)]:
        written.path.write_bytes(whole[:cut])
        recorded, damage = read(written.path)
        recorded = content(recorded)
        must = [item for item, end in zip(content(drive()), written.ends) if end <= cut]
        assert is_part(must, recorded), cut
        assert is_part(recorded, content(drive())), cut
        assert damage, cut
        read_of_all += len(must)
    assert read_of_all > CUTS * MESSAGES // 4  # some cuts leave something


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_a_cut_file_that_is_compressed_as_a_whole_is_read_as_far(tmp_path: Path,
                                                                 plugin: object) -> None:
    path = rosbag2(tmp_path / 'drive', plugin=plugin, mode=MODES['file'])
    file = storage_file(path)
    whole = file.read_bytes()
    counts = []
    for cut in sorted(random.Random(7).choices(range(len(whole)), k=CUTS)):
        file.write_bytes(whole[:cut])
        recorded, damage = read(path)
        assert content(recorded) == content(drive())[:len(recorded)], cut
        assert sum(item.count for item in damage) == MESSAGES - len(recorded), cut
        counts.append(len(recorded))
    assert counts == sorted(counts)
    assert counts[-1] > MESSAGES // 2


@pytest.mark.parametrize('kind', FORMATS)
def test_no_flipped_byte_stops_the_reading(tmp_path: Path, kind: str) -> None:
    path = FORMATS[kind](tmp_path)
    file = path if path.is_file() else storage_file(path)
    whole = file.read_bytes()
    for position in random.Random(kind).choices(range(len(whole)), k=CUTS):
        file.write_bytes(whole)
        flip(file, position)
        recorded, _ = read(path)
        assert len({item.time_ns for item in recorded}) >= len(recorded) // 2


@pytest.mark.parametrize('compression', ['', 'lz4', 'zstd'])
def test_a_corrupt_chunk_is_left_out_and_reported(tmp_path: Path, compression: str) -> None:
    written = mcap(tmp_path / 'drive.mcap', compression)
    position = (written.ends[2] + written.ends[3]) // 2
    flip(written.path, position)  # in the second of four chunks, of three messages each
    recorded, damage = read(written.path)
    assert content(recorded) == without(3, 4, 5)
    assert [item.count for item in damage] == [3]
    assert damage[0].place.startswith('drive.mcap, byte ')
    assert 'a chunk is left out' in damage[0].problem
    with open_bag(written.path) as bag:  # labels are at 1, 3, 5 ...
        assert len(list(bag.messages([LABEL]))) == 4
        assert [item.count for item in bag.damage] == [2]


def test_reading_by_index_continues_after_a_corrupt_chunk(tmp_path: Path) -> None:
    path = rosbag2(tmp_path / 'long', many(84), mode=MODES['storage'])
    file = storage_file(path)
    chunks = file.read_bytes().split(ZSTD_MAGIC)
    assert len(chunks) == 4
    flip(file, len(ZSTD_MAGIC.join(chunks[:2])))  # the start of the second chunk's data
    recorded, damage = read(path)
    messages = content(recorded)
    assert 0 < len(messages) < 84
    assert is_part(messages, content(many(84)))
    assert messages[-1] == content(many(84))[-1]
    assert [item.count for item in damage] == [84 - len(messages)]


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
@pytest.mark.parametrize('mode', ['none', 'message', 'file'])
def test_files_without_metadata_are_read_in_natural_order(tmp_path: Path, plugin: object,
                                                          mode: str) -> None:
    path = split(tmp_path / 'drive', plugin, MODES[mode])
    (path / 'metadata.yaml').unlink()
    recorded, damage = read(path)
    assert content(recorded) == content(drive())
    assert damage == [Damage('metadata.yaml', 'the file is missing: storage files are read in '
                                              'order of their names', 0)]


@pytest.mark.parametrize('text', ['', '{', 'rosbag2_bagfile_information: 3', '\0'])
def test_a_bag_with_damaged_metadata_is_read(tmp_path: Path, text: str) -> None:
    path = split(tmp_path / 'drive')
    (path / 'metadata.yaml').write_text(text)
    recorded, damage = read(path)
    assert content(recorded) == content(drive())
    assert [item.place for item in damage] == ['metadata.yaml']


def test_a_missing_file_of_a_split_bag_is_reported_with_its_messages(tmp_path: Path) -> None:
    path = split(tmp_path / 'drive')
    (path / 'drive_10.mcap').unlink()
    recorded, damage = read(path)
    assert content(recorded) == without(4, 5, 6, 7)
    assert damage == [
        Damage('drive_10.mcap', 'the file is missing, metadata.yaml names it', 0),
        Damage('metadata.yaml', 'further messages that it counts are in no file', 4)]


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_cut_empty_and_foreign_files_of_a_split_bag_are_reported(tmp_path: Path,
                                                                 plugin: object) -> None:
    path = split(tmp_path / 'drive', plugin, files=4)
    files = sorted(path.glob('drive*'), key=lambda file: len(file.name))  # drive_9 is the first
    first, cut, empty, foreign = files[:1] + sorted(files[1:])
    whole = cut.read_bytes()
    cut.write_bytes(whole[:2 * len(whole) // 3])  # of three messages
    empty.write_bytes(b'')
    foreign.write_bytes(b'no bag at all')
    recorded, damage = read(path)
    messages = content(recorded)
    assert messages[:3] == content(drive())[:3]
    assert messages[3:] == content(drive())[3:len(messages)]
    assert {item.place.split(',')[0] for item in damage} == \
        {cut.name, empty.name, foreign.name, 'metadata.yaml'}
    assert sum(item.count for item in damage) == MESSAGES - len(messages)


def test_a_file_that_came_after_the_metadata_is_read(tmp_path: Path) -> None:
    path = split(tmp_path / 'drive')
    info = yaml.safe_load((path / 'metadata.yaml').read_text())
    info['rosbag2_bagfile_information']['relative_file_paths'].pop()
    for topic in info['rosbag2_bagfile_information']['topics_with_message_count']:
        topic['message_count'] -= 2
        info['rosbag2_bagfile_information']['message_count'] -= 2
    (path / 'metadata.yaml').write_text(yaml.safe_dump(info))
    shutil.copy(path / 'drive_9.mcap', path / 'result.mcap')  # no part of the bag
    recorded, damage = read(path)
    assert content(recorded) == content(drive())
    assert damage == []


@pytest.mark.parametrize('name', ['drive.mcap', 'drive.db3', 'drive.bag', 'drive.db3.zstd'])
def test_an_empty_file_is_an_empty_bag(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'')
    with open_bag(tmp_path / name) as bag:
        assert (bag.topics, bag.start_ns) == ({}, None)
        assert list(bag.messages([])) == []
        assert bag.damage == [Damage(name, 'the file is empty', 0)]


@pytest.mark.parametrize('name', ['drive.mcap', 'drive.db3', 'drive.bag', 'drive.txt'])
def test_garbage_is_no_bag(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'no bag at all')
    with pytest.raises(BagError, match=f'{name}: no bag: .* neither as MCAP, nor as SQLite'):
        open_bag(tmp_path / name)
    with pytest.raises(BagError, match=f'{tmp_path}: no bag|{name}: no bag'):
        open_bag(tmp_path)
    with pytest.raises(BagError, match=f'{tmp_path}/none: no such bag'):
        open_bag(tmp_path / 'none')


def test_a_folder_whose_files_are_all_missing_is_no_bag(tmp_path: Path) -> None:
    path = rosbag2(tmp_path / 'drive')
    storage_file(path).unlink()
    with pytest.raises(BagError, match='metadata.yaml names drive.mcap of which none is there'):
        open_bag(path)


def test_damage_between_chunks_loses_only_what_it_hits(tmp_path: Path) -> None:
    written = mcap(tmp_path / 'drive.mcap', 'zstd')
    flip(written.path, written.ends[3] + 3)  # the size of an index after the second chunk
    recorded, damage = read(written.path)
    assert content(recorded) == content(drive())
    assert ['bytes are damaged' in item.problem for item in damage] == [True]
    written = mcap(tmp_path / 'drive.mcap', None)
    flip(written.path, written.ends[3] + 3)  # the size of the fifth message
    recorded, damage = read(written.path)
    assert content(recorded) == content(drive())[:4]
    assert len(damage) == 1


@pytest.mark.parametrize('compression', ['bz2', 'lz4'])
def test_a_corrupt_chunk_of_ros1_is_left_out(tmp_path: Path, compression: str) -> None:
    written = ros1(tmp_path / 'drive.bag', compression)
    first, second, *_ = sorted(set(written.ends))
    flip(written.path, (first + second) // 2)
    lost = [number for number, end in enumerate(written.ends) if end == second]
    recorded, damage = read(written.path)
    if compression == 'bz2':  # lz4 has no checksum: some flips change a byte of a picture
        assert content(recorded) == without(*lost)
        assert [item.count for item in damage] == [len(lost)]
    whole = written.path.read_bytes()
    place = whole.index(b'compression=', first) - 4  # now the record of the second chunk
    written.path.write_bytes(whole[:place] + bytes(20) + whole[place + 20:])
    recorded, damage = read(written.path)
    assert content(recorded) == without(*lost)
    assert len(damage) == 1


@pytest.mark.parametrize('compression', ['none', 'bz2', 'lz4'])
def test_a_ros1_bag_whose_recorder_was_killed_is_read(tmp_path: Path, compression: str) -> None:
    written = ros1(tmp_path / 'drive.bag', compression)
    whole = bytearray(written.path.read_bytes())
    for name, size in ((b'index_pos=', 8), (b'conn_count=', 4), (b'chunk_count=', 4)):
        start = whole.index(name) + len(name)
        whole[start:start + size] = bytes(size)
    active = tmp_path / 'drive.bag.active'
    last = whole.rindex(b'compression=')  # of the last chunk: its sizes are not written yet
    size = whole.index(b'size=', last) + 5
    compressed = int.from_bytes(whole[size + 4:size + 8], 'little')
    whole[size:size + 8] = bytes(8)
    active.write_bytes(whole[:size + 8 + compressed])
    recorded, damage = read(active)
    assert content(recorded) == content(drive())
    assert [item.problem for item in damage] == ['the file ends inside a chunk']


def test_the_write_ahead_log_of_a_killed_recorder_is_read(tmp_path: Path) -> None:
    path = rosbag2_file(tmp_path / 'drive', SQLITE)
    copy = tmp_path / 'copy.db3'
    database = sqlite3.connect(path)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    second = database.execute('SELECT * FROM messages').fetchall()
    for _, topic_id, time_ns, data in second:
        database.execute('INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)',
                         (topic_id, time_ns + 10 ** 9, data))
    database.commit()
    shutil.copy(path, copy)
    shutil.copy(f'{path}-wal', f'{copy}-wal')
    database.close()
    recorded, damage = read(copy)
    assert damage == []
    assert content(recorded[:MESSAGES]) == content(drive())
    assert [item.data for item in recorded[MESSAGES:]] == [item.data for item in drive()]


def test_reading_by_sql_continues_page_by_page(tmp_path: Path) -> None:
    written = sqlite(tmp_path / 'drive')
    whole = bytearray(written.path.read_bytes())
    # A leaf before those with the last messages: page number, kind and what is on it are found
    # by its kind.
    leaves = [start for start in range(0, len(whole), 4096) if whole[start] == 13]
    whole[leaves[-3]] = 99
    written.path.write_bytes(whole)
    recorded, damage = read(written.path)
    messages = content(recorded)
    assert MESSAGES // 2 < len(messages) < MESSAGES
    assert is_part(messages, content(drive()))
    assert damage[0].problem.startswith("SQLite can't read the file")
    assert f'{MESSAGES - len(messages)} are on pages that are lost' in damage[1].problem


def test_read_bag_yields_what_is_readable(tmp_path: Path) -> None:
    written = mcap(tmp_path / 'drive.mcap', 'lz4')
    written.path.write_bytes(written.path.read_bytes()[:written.ends[6]])
    assert content(read_bag(written.path, [IMAGE])) == content(drive())[:9:2]
