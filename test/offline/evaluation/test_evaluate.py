# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""segret_evaluate on real bags: its scores, its files, and what it makes of damage."""

from contextlib import redirect_stderr
from html import unescape
from io import StringIO
import itertools
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import signal
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from recordings import (
    CAMERA,
    DRIVE,
    evaluate,
    evaluate_apart,
    first,
    images,
    metrics,
    renamed,
    restamped,
    sample_drive,
    TRUE_LABEL,
    true_labels,
    write_bag,
)
from segret_ros.files.share import default_model
from segret_ros.inference import Segmenter
from segret_ros.labels.label_set import load_label_set
from segret_ros.labels.metrics import Scores
from segret_ros.offline.bags import open_bag, serialize, stamp_ns
from segret_ros.offline.evaluation import evaluate as loop
from segret_ros.offline.evaluation.evaluate import Options
from segret_ros.offline.evaluation.frames import every_nth, Span
from segret_ros.offline.evaluation.main import Progress
from segret_ros.offline.evaluation.output import read_columns
from segret_ros.offline.evaluation.run import evaluate_here, publish, Run

FRAMES = 8


LABEL, COLOR, STATUS = (f'/camera/segmentation/{name}'
                        for name in ('label', 'color/compressed', 'status'))


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp('bags') / 'drive', first(FRAMES))


@pytest.fixture(scope='module')
def output(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp('output') / 'drive'
    printed = evaluate(bag, '--labels', TRUE_LABEL, '--output', output, '--device', 'cpu')
    assert f'{output}/report.html' in printed
    return output


@pytest.fixture(scope='module')
def segmenter() -> Segmenter:
    return Segmenter(default_model(), 'cpu')


def messages(output: Path, topic: str) -> list:
    with open_bag(output / 'result.mcap') as result:
        return [recorded.message() for recorded in result.messages([topic])]


def test_the_scores_are_those_of_the_labels(output: Path, segmenter: Segmenter) -> None:
    scores, truth = Scores(11), true_labels(first(FRAMES))
    confidences = []
    for stamp, image in images(first(FRAMES)).items():
        result = segmenter(image)
        scores.add(truth[stamp], result.label, result.confidence)
        confidences.append(result.confidence)
    found = metrics(output)['all']
    assert found['frames'] == FRAMES and not found['problems']
    assert found['scores'] == {
        'matched': FRAMES, 'matched_by_recording_time': 0, 'unmatched': 0, 'unscored': {},
        'unmatched_labels': 0, 'tolerance_ms': 10.0,
        **json.loads(json.dumps(scores.as_json(segmenter.info.labels.names)))}
    assert found['mean_confidence'] == pytest.approx(np.mean(confidences) / 255, abs=1e-9)
    assert sum(found['confidence_histogram']) == FRAMES * 480 * 360
    assert sum(found['class_areas'].values()) == pytest.approx(1)
    assert found['stability']['pairs'] == FRAMES - 1
    assert metrics(output)['cameras'] == {CAMERA: found}


def test_the_table_adds_up_to_the_metrics(output: Path) -> None:
    table, found = read_columns(output / 'frames.csv'), metrics(output)['all']
    assert table['stamp_ns'].tolist() == sorted(images(first(FRAMES)))
    hits = [table[f'hit_{item["name"]}'].sum() for item in found['scores']['classes']]
    assert hits == [row[index] for index, row in enumerate(found['scores']['confusion'])]
    assert np.isnan(table['stability'][0]) and not np.isnan(table['stability'][1:]).any()
    assert table['area_road'].mean() == pytest.approx(found['class_areas']['road'], abs=1e-5)
    assert (table['network_ms'] > 0).all()


def test_the_result_holds_labels_colours_and_status_of_each_frame(
        output: Path, segmenter: Segmenter) -> None:
    palette = segmenter.info.labels.color_table()
    expected = images(first(FRAMES))
    labels, colors = messages(output, LABEL), messages(output, COLOR)
    assert [stamp_ns(message.header) for message in labels] == list(expected)
    for message, color, image in zip(labels, colors, expected.values()):
        label = message.data.reshape(message.height, message.width)
        np.testing.assert_array_equal(label, segmenter(image).label)
        assert message.header == color.header and message.header.frame_id == 'camera_optical'
        picture = cv2.imdecode(color.data, cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(picture, palette[label])
    (status,) = messages(output, STATUS)[0].status
    assert status.level == 0 and status.message == 'valid'
    assert float({item.key: item.value for item in status.values}['network_ms']) > 0


def test_the_same_bag_gives_the_same_metrics(output: Path, bag: Path, tmp_path: Path) -> None:
    evaluate_apart(bag, '--labels', TRUE_LABEL, '--output', tmp_path / 'again', '--device', 'cpu')
    assert (tmp_path / 'again' / 'metrics.json').read_bytes() == (
        output / 'metrics.json').read_bytes()
    assert sorted(path.name for path in (tmp_path / 'again').iterdir()) == [
        '.segret_output.json', 'frames.csv', 'metrics.json', 'report.html', 'result.mcap',
        'run.json']


def test_frames_are_selected_for_labelling_once(bag: Path, tmp_path: Path) -> None:
    arguments = [bag, '--select', 1, '--output', tmp_path]
    evaluate(*arguments)
    (image,) = (tmp_path / 'select' / 'JPEGImages').iterdir()
    frames = images(first(FRAMES)).items()
    (stamp,) = (stamp for stamp, pixels in frames if np.array_equal(
        pixels, cv2.imread(str(image))[..., ::-1]))
    assert str(stamp) in image.name
    assert 'move it away' in evaluate(*arguments, code=1)
    evaluate(bag, '--every', 4, '--output', tmp_path)
    assert image.exists()  # corrected labels are not lost


def test_of_each_camera_every_nth_image_is_played() -> None:
    drive = [renamed(item, topic) for item in first(4) if item.topic == CAMERA
             for topic in ('/front', '/rear', '/front/camera_info')]
    played = [item.topic for item in every_nth(drive, ['/front', '/rear'], 2)]
    assert played.count('/front') == played.count('/rear') == 2
    assert played.count('/front/camera_info') == 4


@pytest.mark.filterwarnings('error')  # tqdm's, of a bar beyond its end
@pytest.mark.parametrize('every', [1, 2, 3])
def test_the_bar_ends_at_its_end(tmp_path: Path, every: int) -> None:
    run = Run(Options(default_model(), 'cpu', span=Span(every=every)), [DRIVE], tmp_path / 'out')
    times_ns = [item.time_ns for item in sample_drive() if item.topic == CAMERA]
    with redirect_stderr(StringIO()), Progress(run) as progress:
        for time_ns in times_ns[::every]:
            progress(run.jobs[0], SimpleNamespace(time_ns=time_ns))
        progress.finish(run.jobs[0])


def test_a_span_and_every_nth_frame(bag: Path, tmp_path: Path) -> None:
    stamps = list(images(first(FRAMES)))
    start = (stamps[2] - stamps[0]) / 1e9
    stop = (stamps[7] - stamps[0]) / 1e9
    evaluate(bag, '--start', start, '--stop', stop, '--every', 2, '--output', tmp_path)
    assert read_columns(tmp_path / 'frames.csv')['stamp_ns'].tolist() == stamps[2:7:2]
    assert metrics(tmp_path)['all']['scores'] is None


def broken(drive: list) -> list:
    """Return a drive of a cut image, two with wrong stamps and a small one."""
    cameras = [item for item in drive if item.topic == CAMERA]
    cut = cameras[2].message()
    cut.data = cut.data[:5000]
    image = cv2.imdecode(cameras[5].message().data, cv2.IMREAD_COLOR)
    small = cameras[5].message()
    small.data = cv2.imencode('.png', image[:180, :240])[1].ravel()
    stamps = list(images(drive))
    return [cameras[0], cameras[1], serialize(CAMERA, cameras[2].time_ns, cut),
            restamped(cameras[3], stamps[1]), restamped(cameras[4], stamps[0]),
            serialize(CAMERA, cameras[5].time_ns, small)]


def test_odd_frames_are_counted_and_the_rest_evaluated(tmp_path: Path) -> None:
    evaluate(write_bag(tmp_path / 'drive', broken(first(FRAMES))), '--output', tmp_path / 'out')
    found = metrics(tmp_path / 'out')['all']
    assert found['frames'] == 6
    assert found['problems'] == {'rejected': 1, 'size changed': 1, 'stamp out of order': 1,
                                 'stamp repeated': 1}
    table = read_columns(tmp_path / 'out' / 'frames.csv')
    assert table['problem'].tolist() == ['', '', 'rejected', 'stamp repeated',
                                         'stamp out of order', 'size changed']
    assert np.isnan(table['confidence']).tolist() == [False] * 2 + [True] + [False] * 3
    assert len(messages(tmp_path / 'out', LABEL)) == 5
    rejected = messages(tmp_path / 'out', STATUS)[2].status[0]
    assert rejected.level == 2 and 'JPEG file without its end' in rejected.message


def test_a_bag_of_rejected_frames_fails_with_their_reason(bag: Path, tmp_path: Path) -> None:
    drive = []
    for item in first(3):
        message = item.message()
        message.data = np.frombuffer(b'\0\0\0\1' * 99, np.uint8)  # as h264 begins
        drive += [serialize(CAMERA, item.time_ns, message)] * (item.topic == CAMERA)
    told = evaluate(write_bag(tmp_path / 'video', drive), bag, '--device', 'cpu', '--output',
                    tmp_path / 'out', code=1)
    (reason, count), = metrics(tmp_path / 'out')['all']['rejected'].items()
    assert count == 3
    (line,) = [line for line in told.splitlines() if 'could be labelled' in line]
    assert line.startswith('segret_evaluate: video: none of its 3 frames') and reason in line
    assert reason in unescape((tmp_path / 'out' / 'report.html').read_text())
    table = read_columns(tmp_path / 'out' / 'frames.csv')
    assert table['reason'].tolist() == [reason] * 3 + [''] * FRAMES


CLASSES = [f'{{name: class {index}, color: [{index}, 0, 0]}}' for index in range(11)]


@pytest.mark.parametrize('names, text', [
    (CLASSES, "class 0 is 'class 0' there, 'sky' here"), (CLASSES[:2], '2 there, 11 here')])
def test_labels_of_other_classes_are_refused(bag: Path, names: list[str], text: str,
                                             tmp_path: Path) -> None:
    folder = shutil.copytree(bag, tmp_path / 'drive')
    (folder / 'classes.yaml').write_text(f'classes: [{", ".join(names)}]')
    told = evaluate(folder, '--labels', TRUE_LABEL, '--output', tmp_path / 'out', code=1)
    (line,) = [line for line in told.splitlines() if 'other classes' in line]
    assert text in line and line.startswith('segret_evaluate: ')


def test_the_report_says_if_classes_are_assumed(bag: Path, output: Path, tmp_path: Path) -> None:
    assert metrics(output)['bags'][0]['classes_named'] is False
    assert 'those of the model are assumed: 0 sky, 1 building' in \
        (output / 'report.html').read_text()
    labels = tmp_path / 'labels'
    labels.mkdir()
    shutil.copy(DRIVE / 'classes.yaml', labels)
    for stamp, label in true_labels(first(1)).items():
        cv2.imwrite(str(labels / f'{stamp}.png'), label)
    told = evaluate(bag, '--labels', labels, '--device', 'cpu', '--output', tmp_path / 'out')
    assert 'assumed' not in told
    assert metrics(tmp_path / 'out')['bags'][0]['classes_named'] is True


def test_the_sample_drive_is_as_the_tests_expect() -> None:
    assert len(images(sample_drive())) == len(true_labels(sample_drive())) == 101
    assert load_label_set(DRIVE / 'classes.yaml') == load_label_set('camvid')


def test_a_missing_bag_is_one_line(tmp_path: Path) -> None:
    assert evaluate(tmp_path / 'nope.bag', '--output', tmp_path / 'out', code=1) == (
        f'segret_evaluate: {tmp_path / "nope.bag"}: no such bag\n')


def run_of(bag: Path, output: Path, part_frames: int = 3) -> Run:
    loop.PART_FRAMES = part_frames
    return Run(Options(default_model(), 'cpu', labels=TRUE_LABEL), [bag], output)


def evaluate_in_parts(bag: Path, output: Path) -> None:
    run = run_of(bag, output)
    run.prepare(resume=False)
    frames = itertools.count(1)
    evaluate_here(run, lambda job, frame: next(frames) <= 6 or time.sleep(60))  # to be killed in


def test_a_killed_run_resumes_where_it_stopped(bag: Path, output: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, 'PART_FRAMES', 3)
    process = multiprocessing.get_context('spawn').Process(target=evaluate_in_parts,
                                                           args=(bag, tmp_path))
    process.start()
    second = tmp_path / '.work' / '0000' / '000001'
    while not second.exists():
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / 'metrics.json').exists()
    seen = []
    run = run_of(bag, tmp_path)
    run.prepare(resume=True)
    engine = evaluate_here(run, lambda job, frame: seen.append(frame.stamp_ns))
    assert seen == list(images(first(FRAMES)))[-len(seen):] and len(seen) <= FRAMES - 6
    found = run.metrics(engine)
    assert json.dumps(found, indent=1) + '\n' == (output / 'metrics.json').read_text()
    columns = run.columns()
    publish(run, found)
    table = read_columns(tmp_path / 'frames.csv')
    assert list(columns) == list(table)
    for name, values in table.items():
        assert columns[name].dtype == values.dtype
        np.testing.assert_array_equal(columns[name], values)


def test_a_run_is_not_resumed_with_other_options(bag: Path, tmp_path: Path) -> None:
    run_of(bag, tmp_path).prepare(resume=False)
    assert 'holds no interrupted' in evaluate(bag, '--resume', '--output', tmp_path / 'none',
                                              code=1)
    refused = evaluate(bag, '--resume', '--every', 2, '--output', tmp_path, code=1)
    assert 'other bags, another model, other options or another version' in refused


def test_a_cut_bag_is_evaluated_up_to_the_cut(bag: Path, tmp_path: Path) -> None:
    whole = next(bag.glob('*.mcap')).read_bytes()
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(whole[:len(whole) * 2 // 3])
    evaluate(cut, '--output', tmp_path / 'out')
    found = metrics(tmp_path / 'out')
    assert 0 < found['all']['frames'] < FRAMES
    (damage,) = found['bags'][0]['damage']
    assert 'cut.mcap' in damage['place']
    assert 'cut.mcap' in (tmp_path / 'out' / 'report.html').read_text()


def test_an_unreadable_bag_does_not_stop_the_others(bag: Path, tmp_path: Path) -> None:
    (tmp_path / 'noise.mcap').write_bytes(b'noise' * 100)
    done = evaluate(bag, tmp_path / 'noise.mcap', '--output', tmp_path / 'out', code=1)
    assert 'noise.mcap' in done and 'no bag' in done
    first_bag, second = metrics(tmp_path / 'out')['bags']
    assert first_bag['frames'] == FRAMES and 'no bag' in second['error']
    (alone,) = evaluate(tmp_path / 'noise.mcap', '--output', tmp_path / 'none',
                        code=1).splitlines()
    assert 'noise.mcap: no bag' in alone


@pytest.mark.parametrize('arguments, text', [
    (['--topics', '/lidar'], '/camera/image_raw/compressed'),
    (['--labels', '/truth'], '/camera/label/compressed'),
    (['--every', '0'], '--every is 0'),
    (['--start', '2', '--stop', '1'], 'not before'),
    (['--device', 'tpu'], 'tpu'),
    (['--model', 'none.onnx'], 'none.onnx'),
])
def test_a_mistake_is_one_line_that_names_it(arguments: list[str], text: str,
                                             tmp_path: Path) -> None:
    told = evaluate(DRIVE, *arguments, '--output', tmp_path, code=1)
    (line,) = [line for line in told.splitlines() if text in line]
    assert line.startswith('segret_evaluate: ')
    assert 'Traceback' not in told


@pytest.mark.parametrize('device, first_of_auto, cores, streams', [
    ('cpu', 'cuda', 64, 16), ('openvino', 'cuda', 3, 3), ('torch:cpu', 'cuda', 64, 16),
    ('cuda', 'cpu', 64, 2), ('tensorrt:1', 'cpu', 64, 2), ('torch', 'cpu', 1, 1),
    ('auto', 'openvino', 64, 16), ('auto', 'cuda', 64, 2)])
def test_images_at_once_share_a_gpu(monkeypatch: pytest.MonkeyPatch, device: str,
                                    first_of_auto: str, cores: int, streams: int) -> None:
    monkeypatch.setattr(loop, 'devices_of_auto', lambda: [first_of_auto, 'cpu'])
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(cores)))
    assert loop.streams_on(device) == streams


def test_a_broken_limit_has_its_own_exit_code(bag: Path, tmp_path: Path) -> None:
    arguments = [bag, '--labels', TRUE_LABEL, '--output', tmp_path, '--fail-under']
    assert evaluate(*arguments, 20)
    assert '99' in evaluate(*arguments, 99, code=2)


def test_a_model_with_wrong_labels_is_refused_before_the_drive(
        bag: Path, wrong_model: Path, tmp_path: Path) -> None:
    printed = evaluate(bag, '--model', wrong_model, '--output', tmp_path / 'drive', code=1)
    assert "of the labels are the float32 network's" in printed
    assert not list(tmp_path.glob('drive/*/*.html'))


def test_forbidden_topics_and_undecodable_paths_are_evaluated(tmp_path: Path) -> None:
    topics = {CAMERA: '/front-left/image raw', TRUE_LABEL: '/front-left/über label'}
    folder = tmp_path / os.fsdecode(b'caf\xe9 #1')
    bag = write_bag(tmp_path / 'drive', [renamed(item, topics[item.topic]) for item in first(3)])
    bag.rename(folder)
    evaluate(folder, '--labels', topics[TRUE_LABEL], '--output', tmp_path / 'out')
    found = metrics(tmp_path / 'out')
    assert list(found['cameras']) == ['/front_left/image_raw']
    assert found['all']['scores']['matched'] == 3
    (remark,) = found['bags'][0]['remarks']
    assert remark.startswith(f'{topics[CAMERA]!r} is shown as /front_left/image_raw: ')
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'is shown as /front_left/image_raw' in page and 'caf\\udce9 #1' in page
