"""segret_evaluate on real bags: what it finds, what it writes, and what it does with damage."""

import json
import multiprocessing
import os
from pathlib import Path
import signal
import time

import cv2
import numpy as np
import pytest
from recordings import (
    CAMERA, DRIVE, evaluate, evaluate_apart, first, images, metrics, raw_label, renamed, restamped,
    sample_drive, TRUE_LABEL, true_labels, write_bag)
from segret_ros.bags import open_bag, serialize, stamp_ns
from segret_ros.evaluation import evaluate as loop
from segret_ros.evaluation.evaluate import Options
from segret_ros.evaluation.frames_table import read_columns
from segret_ros.evaluation.run import evaluate_here, Run
from segret_ros.inference import Segmenter
from segret_ros.scores import Scores
from segret_ros.share import default_model

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
        'matched': FRAMES, 'unmatched': 0, 'unmatched_labels': 0, 'tolerance_ms': 10.0,
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


def test_a_span_and_every_nth_frame(bag: Path, tmp_path: Path) -> None:
    stamps = list(images(first(FRAMES)))
    start = (stamps[2] - stamps[0]) / 1e9
    stop = (stamps[7] - stamps[0]) / 1e9
    evaluate(bag, '--start', start, '--stop', stop, '--every', 2, '--output', tmp_path)
    assert read_columns(tmp_path / 'frames.csv')['stamp_ns'].tolist() == stamps[2:7:2]
    assert metrics(tmp_path)['all']['scores'] is None


def broken(drive: list) -> list:
    """Give a drive of a cut image, two with wrong stamps and a small one."""
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


def test_labels_are_matched_by_the_nearest_stamp(tmp_path: Path) -> None:
    drive = first(6)
    stamps = list(images(drive))
    labels = true_labels(drive)
    moved = {stamps[0]: 9_000_000, stamps[1]: -9_000_000, stamps[2]: 12_000_000}
    folder = tmp_path / 'labels'
    folder.mkdir()
    for stamp in stamps[:4]:
        cv2.imwrite(str(folder / f'frame_{stamp + moved.get(stamp, 0)}.png'), labels[stamp])
    bag = write_bag(tmp_path / 'drive', [item for item in drive if item.topic == CAMERA])
    evaluate(bag, '--labels', folder, '--output', tmp_path / 'out')
    scores = metrics(tmp_path / 'out')['all']['scores']
    assert (scores['matched'], scores['unmatched'], scores['unmatched_labels']) == (3, 3, 1)
    miou = read_columns(tmp_path / 'out' / 'frames.csv')['miou']
    assert np.isnan(miou).tolist() == [False, False, True, False, True, True]


def test_each_of_two_cameras_has_its_labels(tmp_path: Path) -> None:
    drive = first(4)
    truth = true_labels(drive)
    both = []
    for item in drive:
        if item.topic == CAMERA:
            both += [renamed(item, f'/{name}/image_raw/compressed') for name in ('front', 'rear')]
        else:
            stamp = stamp_ns(item.message().header)
            both += [raw_label('/front/label', item.time_ns, truth[stamp]),
                     raw_label('/rear/label', item.time_ns, np.zeros_like(truth[stamp]))]
    bag = write_bag(tmp_path / 'drive', both)
    evaluate(bag, '--labels', 'label', '--output', tmp_path / 'out')
    cameras = metrics(tmp_path / 'out')['cameras']
    front, rear = (cameras[f'/{name}/image_raw/compressed'] for name in ('front', 'rear'))
    assert front['scores']['mean_iou'] > 0.4 > 0.2 > rear['scores']['mean_iou']
    assert front['class_areas'] == rear['class_areas']
    assert metrics(tmp_path / 'out')['all']['frames'] == 8
    assert len(messages(tmp_path / 'out', '/rear/segmentation/label')) == 4


def run_of(bag: Path, output: Path, part_frames: int = 3) -> Run:
    loop.PART_FRAMES = part_frames
    return Run(Options(default_model(), 'cpu', labels=TRUE_LABEL), [bag], output)


def evaluate_in_parts(bag: Path, output: Path) -> None:
    run = run_of(bag, output)
    run.prepare(resume=False)
    evaluate_here(run, lambda job, frame: time.sleep(0.05))  # to be killed in


def test_a_killed_run_goes_on_where_it_stopped(bag: Path, output: Path, tmp_path: Path,
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
    resumed = json.dumps(run.metrics(engine), indent=1) + '\n'
    assert resumed == (output / 'metrics.json').read_text()


def test_a_run_is_not_resumed_with_other_options(bag: Path, tmp_path: Path) -> None:
    run_of(bag, tmp_path).prepare(resume=False)
    assert '--every' not in evaluate(bag, '--resume', '--output', tmp_path / 'none', code=1)
    refused = evaluate(bag, '--resume', '--every', 2, '--output', tmp_path, code=1)
    assert 'other bags, another model or other options' in refused


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


def test_a_bag_that_is_none_does_not_stop_the_others(bag: Path, tmp_path: Path) -> None:
    (tmp_path / 'noise.mcap').write_bytes(b'noise' * 100)
    done = evaluate(bag, tmp_path / 'noise.mcap', '--output', tmp_path / 'out', code=1)
    assert 'noise.mcap' in done and 'no bag' in done
    first_bag, second = metrics(tmp_path / 'out')['bags']
    assert first_bag['frames'] == FRAMES and 'no bag' in second['error']
    assert 'no bag could be evaluated' in evaluate(
        tmp_path / 'noise.mcap', '--output', tmp_path / 'none', code=1)


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


def test_the_gate_has_its_own_exit_code(bag: Path, tmp_path: Path) -> None:
    arguments = [bag, '--labels', TRUE_LABEL, '--output', tmp_path, '--fail-under']
    assert evaluate(*arguments, 20)
    assert '99' in evaluate(*arguments, 99, code=2)


def test_the_sample_drive_is_what_the_tests_think() -> None:
    assert len(images(sample_drive())) == len(true_labels(sample_drive())) == 101


def test_a_model_with_wrong_labels_is_refused_before_the_drive(
        bag: Path, wrong_model: Path, tmp_path: Path) -> None:
    printed = evaluate(bag, '--model', wrong_model, '--output', tmp_path / 'drive', code=1)
    assert "of the labels are the float32 network's" in printed
    assert not list(tmp_path.glob('drive/*/*.html'))
