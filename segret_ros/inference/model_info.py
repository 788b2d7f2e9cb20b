"""What a model file tells of itself."""

from dataclasses import dataclass
import json

from segret_ros.label_set import LabelSet, LabelSetError

FORMAT = 'segret_ros model 1'
HOW_TO_MAKE = 'make a right one with: segret_export CHECKPOINT --output MODEL.onnx'


class ModelError(ValueError):
    """A model file that can't be used; the message names the file, the rule and the way out."""


@dataclass(frozen=True)
class ModelInfo:
    """
    The metadata of a model file.

    :param labels: class names and colours in id order.
    :param input_size: (height, width) of the network's input.
    :param variant: of SegRet.
    :param training_data: what the network has seen.
    :param miou: measured mean IoU 0..1, or None where nobody measured.
    :param miou_data: what `miou` was measured on.
    :param source: where the weights came from.
    """

    labels: LabelSet
    input_size: tuple[int, int]
    variant: str
    training_data: str
    miou: float | None
    miou_data: str
    source: str

    def to_metadata(self) -> dict[str, str]:
        """Give the ONNX metadata properties, all strings."""
        return {
            'segret.format': FORMAT,
            'segret.class_names': json.dumps(self.labels.names),
            'segret.palette': json.dumps(self.labels.colors),
            'segret.input_size': json.dumps(self.input_size),
            'segret.variant': self.variant,
            'segret.training_data': self.training_data,
            'segret.miou': json.dumps(self.miou),
            'segret.miou_data': self.miou_data,
            'segret.source': self.source,
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: str) -> 'ModelInfo':
        """
        Give what the properties of a model file say.

        :param path: of the file, for messages.
        :raises ModelError: for a file without them or of another format.
        """
        if metadata.get('segret.format') != FORMAT:
            raise ModelError(f'{path}: its segret.format is {metadata.get("segret.format")!r}, '
                             f'not {FORMAT!r}; {HOW_TO_MAKE}')
        try:
            height, width = json.loads(metadata['segret.input_size'])
            labels = LabelSet(
                tuple(json.loads(metadata['segret.class_names'])),
                tuple(tuple(color) for color in json.loads(metadata['segret.palette'])))
            return cls(labels, (int(height), int(width)), metadata['segret.variant'],
                       metadata['segret.training_data'], json.loads(metadata['segret.miou']),
                       metadata['segret.miou_data'], metadata['segret.source'])
        except (KeyError, ValueError, TypeError, LabelSetError) as error:
            raise ModelError(f'{path}: its metadata is damaged ({error}); {HOW_TO_MAKE}'
                             ) from error
