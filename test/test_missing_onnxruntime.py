"""Without any ONNX Runtime every command tells in one line what to install."""

from pathlib import Path
import runpy
import subprocess
import sys

import pytest
import setuptools

CODE = """
import platform
import sys

class Missing:
    def find_spec(self, name, path, target=None):
        if name == 'onnxruntime':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Missing())  # as if it were not installed
platform.machine = lambda: 'x86_64'
"""
REMEDY = ('ONNX Runtime is not installed: pip install onnxruntime, or for an NVIDIA GPU pip '
          "install 'onnxruntime-gpu[cuda,cudnn]'")
ROOT = Path(__file__).parents[1]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python where ONNX Runtime is missing."""
    return subprocess.run([sys.executable, '-c', CODE + code, *arguments], capture_output=True,
                          text=True)


@pytest.mark.parametrize('module, command', [
    ('segret_ros', 'node'), ('segret_ros', 'bench'), ('segret_ros', 'demo'),
    ('segret_ros', 'engine'), ('segret_ros', 'evaluate'), ('segret_train', 'export'),
    ('segret_train', 'validate')])
def test_a_command_tells_what_to_install(module: str, command: str) -> None:
    ran = run(f'from {module} import commands; sys.exit(commands.{command}())', '--help')
    assert ran.returncode == 1 and not ran.stdout
    assert ran.stderr == f'segret_{command}: {REMEDY}\n'


def test_the_library_tells_what_to_install() -> None:
    ran = run('import segret_ros.inference')
    assert ran.stderr.splitlines()[-1] == f'ImportError: {REMEDY}'


def test_a_jetson_has_its_own_wheel() -> None:
    code = "platform.machine = lambda: 'aarch64'; import segret_ros.inference"
    assert run(code).stderr.splitlines()[-1] == (
        'ImportError: ONNX Runtime is not installed: pip install onnxruntime, or for a Jetson the '
        'wheel that docs/jetson.md tells of')


def test_only_extras_require_an_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: told.update(arguments))
    told: dict = {}
    runpy.run_path('setup.py')
    assert not [name for name in told['install_requires'] if 'onnxruntime' in name]
    assert {extra for extra, names in told['extras_require'].items()
            if any('onnxruntime' in name for name in names)} == {'cpu', 'cuda', 'tensorrt'}
