# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Recipes: the typed values of a training run, from YAML and from the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
import json
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser
from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from segret_ros.files.atomic import atomic_path
from segret_ros.files.yaml_file import read_yaml, YamlFileError
from segret_train.options import one_line_errors, OptionError, OptionParser, with_underscores
import yaml

FOLDER = Path(__file__).with_name('recipes')
VARIANTS = 'variants'  # key of a recipe file, with what differs for each network size


@dataclass(frozen=True)
class Values:
    """The values of a run, in the fields of a subclass."""

    def values(self) -> dict[str, Any]:
        """Return the values as YAML and JSON hold them: plain lists and numbers."""
        return json.loads(json.dumps(asdict(self)))


@dataclass(frozen=True)
class Recipe(Values):
    """
    All values of a training run, except where its data is.

    :param dataset: a known data set, or a YAML file of classes for a folder of your own.
    :param hold_out: pattern of names of train's images, such as 0001TP*, to validate on instead of
        val and not to train on; none if null.
    :param variant: network size; efficientnet_lite2 is a teacher, not a SegRet.
    :param decoder_channels: decoder width E; the variant's own if null.
    :param backbone: initial weights of the backbone: from segret_train, or the authors' ImageNet
        .pth; random if null.
    :param grown_from: checkpoint of a variant of half the widths (nano for tiny), whose function
        the network starts with; none if null.
    :param drop_path: stochastic depth of the last block; the variant's own if null.
    :param dropout: of the decoder's channels.
    :param iterations: optimizer steps.
    :param batch_size: crops in a batch of one process.
    :param accumulate: batches of one process in a step.
    :param learning_rate: its peak.
    :param poly_power: of its polynomial decay to 0 at the last step.
    :param warmup: steps of linear increase from 1e-6 of the learning rate.
    :param muon_rate: learning rate of Muon, as a multiple of AdamW's, for the weights of linear
        layers and dense convolutions; 0 leaves all to AdamW.
    :param weight_decay: of the optimizer.
    :param no_decay: parameters without decay; vectors are norms, biases and scales.
    :param backbone_rate: learning rate of the backbone, as a share of the decoder's.
    :param backbone_norm_rate: learning rate of the backbone's norms, as a share of the backbone's.
    :param freeze_batch_norm: keep the running statistics fixed, for very small batches.
    :param label_smoothing: share of the target that is spread evenly over all classes.
    :param class_balance: weight of rare classes in the loss: a class with a hundredth of another's
        pixels counts 100 ** class_balance times as much.
    :param ema: decay of the weights' moving average, which is then validated and saved; 0 is off.
    :param teacher: checkpoint of a network of the same classes to distil from; none if null.
    :param teacher_share: of the teacher in the loss.
    :param crop: height and width of a crop.
    :param short_side: images are resized to it, for crops and for validation (there to multiples
        of 32); not resized if null.
    :param scale_range: smallest and largest random scale of a crop.
    :param rare_class_crops: share of crops around a pixel of a class that is drawn evenly from
        those in the image, so that rare classes come up more often.
    :param low_light: share of crops that are darkened as at dusk.
    :param gamma: 0.5 brightens and darkens by exponents of 1 / 1.5 to 1.5.
    :param white_balance: 0.2 scales each colour channel by 0.8 to 1.2.
    :param blur: largest standard deviation of a Gaussian blur in pixels.
    :param noise: largest standard deviation of grey noise, on 0..255.
    :param precision: auto is bfloat16 on a GPU that has it, else float32.
    :param validate_every: steps between validations.
    :param seed: of weights, crops and dropout.
    """

    dataset: str = 'camvid'
    hold_out: str | None = None
    variant: Literal['nano', 'tiny', 'small', 'base', 'large', 'efficientnet_lite2'] = 'tiny'
    decoder_channels: PositiveInt | None = None
    backbone: str | None = None
    grown_from: str | None = None
    drop_path: ClosedUnitInterval | None = None
    dropout: ClosedUnitInterval = 0.1
    iterations: PositiveInt = 160000
    batch_size: PositiveInt = 4
    accumulate: PositiveInt = 1
    learning_rate: PositiveFloat = 1e-4
    poly_power: NonNegativeFloat = 0.9
    warmup: NonNegativeInt = 0
    muon_rate: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.01
    no_decay: Literal['nothing', 'norms', 'vectors'] = 'nothing'
    backbone_rate: ClosedUnitInterval = 1.0
    backbone_norm_rate: ClosedUnitInterval = 1.0
    freeze_batch_norm: bool = False
    label_smoothing: ClosedUnitInterval = 0.0
    class_balance: ClosedUnitInterval = 0.0
    ema: ClosedUnitInterval = 0.0
    teacher: str | None = None
    teacher_share: ClosedUnitInterval = 0.5
    crop: tuple[PositiveInt, PositiveInt] = (512, 512)
    short_side: PositiveInt | None = None
    scale_range: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    rare_class_crops: ClosedUnitInterval = 0.0
    low_light: ClosedUnitInterval = 0.0
    gamma: NonNegativeFloat = 0.0
    white_balance: ClosedUnitInterval = 0.0
    blur: NonNegativeFloat = 0.0
    noise: NonNegativeFloat = 0.0
    precision: Literal['auto', 'float32'] = 'auto'
    validate_every: PositiveInt = 4000
    seed: NonNegativeInt = 0

    def save(self, path: Path) -> None:
        """Write a YAML file for `--recipe`, atomically."""
        with atomic_path(path) as partial:
            partial.write_text(yaml.safe_dump(self.values(), sort_keys=False))


def read_recipe(name_or_path: str, variant: str | None = None) -> dict[str, Any]:
    """
    Read the values of a recipe file for a variant; those it leaves out have defaults.

    :param name_or_path: a file of `segret_train/recipes`, or the path of a YAML file.
    :param variant: network size; the file's own if left out.
    :raises OptionError: for a file that is missing or not a recipe.
    """
    path = Path(name_or_path)
    if path.suffix not in ('.yaml', '.yml'):
        path = FOLDER / f'{name_or_path}.yaml'
    if not path.is_file():
        known = ', '.join(sorted(file.stem for file in FOLDER.glob('*.yaml')))
        raise OptionError(f'no recipe {name_or_path}: name one of {known}, or a YAML file')
    try:
        values = read_yaml(path, texts=('dataset',))
    except (OSError, YamlFileError) as error:
        raise OptionError(f'{error}; write one value on each line, such as `iterations: 2800`'
                          ) from error
    variants = values.pop(VARIANTS, None) or {}
    values['variant'] = variant or values.get('variant', 'tiny')
    try:
        values.update(variants.get(values['variant'], {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise OptionError(f'{path}: {VARIANTS} holds the values of each network size, such '
                          'as `tiny: {iterations: 1100}`') from error
    unknown = values.keys() - {field.name for field in fields(Recipe)}
    if unknown:
        raise OptionError(f'{path}: {", ".join(sorted(map(str, unknown)))}: not a value of a '
                          'recipe; segret_train --help lists them')
    return values


def parse(parser: OptionParser, arguments: Sequence[str]) -> tuple[Recipe, dict[str, Any]]:
    """
    Parse a command line into a recipe and the parser's other values.

    The command line overrides the recipe file's values for the variant, which override its general
    values, which override the defaults.

    :param parser: has options of its own; those of the recipe are added here.
    :raises OptionError: for a wrong file or value.
    """
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument('--recipe', default='camvid')
    chosen.add_argument('--variant')
    parser.add_argument('--recipe', default='camvid',
                        help='camvid, cityscapes, ade20k, coco_stuff_10k, or a YAML file')
    parser.add_class_arguments(Recipe)
    first, _ = chosen.parse_known_args(with_underscores(arguments))
    types = ArgumentParser(exit_on_error=False)
    types.add_class_arguments(Recipe)
    with one_line_errors():
        values = types.parse_object(read_recipe(first.recipe, first.variant), defaults=False)
    parser.set_defaults(vars(values))
    parsed = parser.parse(arguments)
    return Recipe(**{field.name: parsed.pop(field.name) for field in fields(Recipe)}), parsed
