"""What a model file tells of itself."""

from dataclasses import dataclass
import json

from segret_ros.label_set import LabelSet, LabelSetError

FORMAT = 'segret_ros model 1'
TEMPERATURES = (0.01, 100.0)  # the lowest and highest that any network could need
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
    :param temperature: what the logits are divided by before the softmax that gives the
        confidence, within `TEMPERATURES`; 1 where nobody calibrated.
    :param calibration_error: expected calibration error 0..1 at temperature 1 and at
        `temperature`, or None where nobody calibrated.
    :param calibration_data: what `temperature` was fitted and `calibration_error` measured on.
    :raises ValueError: for a temperature or an error out of range.
    """

    labels: LabelSet
    input_size: tuple[int, int]
    variant: str
    training_data: str
    miou: float | None
    miou_data: str
    source: str
    temperature: float = 1.0
    calibration_error: tuple[float, float] | None = None
    calibration_data: str = ''

    def __post_init__(self) -> None:
        lowest, highest = TEMPERATURES
        if not lowest <= self.temperature <= highest:  # true for NaN too
            raise ValueError(f'the temperature is {self.temperature}: it must be '
                             f'{lowest:g}..{highest:g}')
        if self.calibration_error is not None and not (
                len(self.calibration_error) == 2
                and all(0 <= error <= 1 for error in self.calibration_error)):
            raise ValueError(f'the calibration error is {self.calibration_error}: it must be two '
                             'numbers of 0..1, before and after')

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
            'segret.temperature': str(self.temperature),
            'segret.calibration_error': json.dumps(self.calibration_error),
            'segret.calibration_data': self.calibration_data,
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: str) -> 'ModelInfo':
        """
        Give what the properties of a model file say; without a temperature it is 1.

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
                       metadata['segret.miou_data'], metadata['segret.source'],
                       **_calibration(metadata))
        except (KeyError, ValueError, TypeError, LabelSetError) as error:
            raise ModelError(f'{path}: its metadata is damaged ({error}); {HOW_TO_MAKE}'
                             ) from error


def _calibration(metadata: dict[str, str]) -> dict:
    """Give the parameters of `ModelInfo` on calibration; files from before it have none."""
    error = json.loads(metadata.get('segret.calibration_error', 'null'))
    return {'temperature': float(metadata.get('segret.temperature', 1)),
            'calibration_error': None if error is None else tuple(error),
            'calibration_data': metadata.get('segret.calibration_data', '')}
