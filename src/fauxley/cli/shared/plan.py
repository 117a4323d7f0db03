"""Which preset suits this machine for clips of some length, and how long it will take."""

import dataclasses
from typing import NamedTuple

from fauxley.machine import importing
from fauxley.terminal.formatting import counted, waiting_time


class Plan(NamedTuple):
    """A preset, and in words what is to be expected of it here."""

    preset: str
    words: str


def plan_training(clip_length: int, channels: int) -> Plan:
    """The paper's model where there is a GPU, else the small one, with the time by arithmetic."""
    with importing():
        import torch

        from fauxley.cli.shared.estimate import operations_per_second
        from fauxley.training.cost import cost_of
        from fauxley.training.presets import PRESETS

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    preset = "wavegan" if device.type == "cuda" else "wavegan-small"
    config = PRESETS[preset][1]
    architecture = dataclasses.replace(config.architecture, clip_length=clip_length, channels=channels)
    config = dataclasses.replace(config, architecture=architecture)
    seconds = 2 * cost_of(config).multiply_adds / operations_per_second(device) * config.steps
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "this machine, which has no GPU"
    return Plan(
        preset,
        f"on {where}, all {counted(config.steps, 'step')} take roughly {waiting_time(seconds)}; "
        "previews are worth hearing long before, and Ctrl-C stops and keeps what is learnt",
    )
