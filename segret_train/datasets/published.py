"""The published data sets, each as its publisher lays it out."""

from pathlib import Path
from typing import NamedTuple

from segret_ros.label_set import load_label_set
from segret_train.datasets.dataset import DataError, DataSet, Layout
from segret_train.datasets.ids import consecutive, IdTable


class Published(NamedTuple):
    """
    A published data set.

    :param label_set: its name among the package's.
    """

    name: str
    label_set: str
    layout: Layout
    ids: IdTable


PUBLISHED = {
    # Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 2009; the split of SegNet.
    'camvid': Published('CamVid', 'camvid', Layout('images/{split}/{name}.jpg',
                                                   'labels/{split}/{name}.png'),
                        consecutive(11, ignored=[11])),
}


def open_data_set(name: str, root: str | Path) -> DataSet:
    """
    Give a data set.

    :param name: of a published one: `camvid`.
    :param root: the folder that holds it.
    :raises DataError: for a name that is not known.
    """
    if name not in PUBLISHED:
        raise DataError(f'no data set {name}: name one of {", ".join(PUBLISHED)}')
    published = PUBLISHED[name]
    return DataSet(published.name, load_label_set(published.label_set), Path(root),
                   published.layout, published.ids)
