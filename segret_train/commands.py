"""The commands of segret_train, which tell in one line what is not installed."""

from importlib import import_module
import sys


def export() -> int:
    """Run segret_export; give its exit code."""
    return run('segret_export', 'segret_train.export')


def train() -> int:
    """Run segret_train; give its exit code."""
    return run('segret_train', 'segret_train.train')


def validate() -> int:
    """Run segret_validate; give its exit code."""
    return run('segret_validate', 'segret_train.validate')


def run(name: str, module: str) -> int:
    """
    Run a command; give its exit code.

    :param name: of the command.
    :param module: that has its `main`, and may need packages that the node does not.
    """
    try:
        main = import_module(module).main
    except ModuleNotFoundError as error:
        print(f'{name}: needs the package {error.name}, which is not installed: pip install '
              "'segret_ros[train]'", file=sys.stderr)
        return 1
    return main()
