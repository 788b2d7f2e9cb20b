"""What a recipe's optimiser does to each parameter, and how fast at each step."""

from segret_ros.network import SegRet
from segret_train.recipe import Recipe
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import AdamW

NORMS = (_BatchNorm, nn.LayerNorm)
FIRST_SHARE = 1e-6  # of the learning rate, at the first step of the warm-up


def make_optimizer(network: SegRet, recipe: Recipe) -> AdamW:
    """Give AdamW with the groups of `parameter_groups`."""
    return AdamW(parameter_groups(network, recipe), lr=recipe.learning_rate, betas=(0.9, 0.999),
                 fused=True)


def parameter_groups(network: SegRet, recipe: Recipe) -> list[dict]:
    """
    Give the optimiser's groups: `params`, `weight_decay`, `rate` (share of the learning rate).

    Parameters of equal treatment are one group, in the network's order.
    """
    norms = {id(parameter) for module in network.modules() if isinstance(module, NORMS)
             for parameter in module.parameters()}
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        is_norm = id(parameter) in norms
        decays = {'nothing': True, 'norms': not is_norm, 'vectors': parameter.ndim > 1}
        decay = recipe.weight_decay if decays[recipe.no_decay] else 0.0
        rate = recipe.backbone_rate if id(parameter) in backbone else 1.0
        if is_norm and id(parameter) in backbone:
            rate *= recipe.backbone_norm_rate
        groups.setdefault((decay, rate), []).append(parameter)
    return [{'params': parameters, 'weight_decay': decay, 'rate': rate}
            for (decay, rate), parameters in groups.items()]


def learning_rate_at(recipe: Recipe, step: int) -> float:
    """Give the learning rate of a step, 0..iterations - 1: poly, below it while warming up."""
    poly = (1 - step / recipe.iterations) ** recipe.poly_power
    warm = min(1, step / recipe.warmup) if recipe.warmup else 1
    return recipe.learning_rate * poly * (FIRST_SHARE + (1 - FIRST_SHARE) * warm)


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """Give each group its share of a learning rate."""
    for group in optimizer.param_groups:
        group['lr'] = rate * group['rate']
