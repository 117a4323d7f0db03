"""All that changes during training, and how it survives.

A checkpoint is a model folder (`fauxley.models.synthesizer`: what is shared) with one more file,
`training_state.pt`, which holds all networks, their optimisers and the step. There is no random state to save: every
random number is a function of the seed and the step.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from fauxley.errors import FauxleyError
from fauxley.models.architecture import Architecture, Generator
from fauxley.models.representations import Representation
from fauxley.serialization import one_line, read_file, reading
from fauxley.training.average import averaged_copy
from fauxley.training.optimizers import Optimizer, RepeatableOptimizer, require_count, require_like
from fauxley.training.tensor_archive import require_tensors_only

_FILE = "training_state.pt"


@dataclass
class TrainingState:
    """The networks and their optimisers, by the networks' names, and how many steps have been taken."""

    networks: Mapping[str, nn.Module]
    optimizers: dict[str, RepeatableOptimizer]
    average: Generator | None
    representation: Representation
    step: int = 0
    attempt: int = 0
    """How often training was set back after diverging; each attempt draws other random numbers."""

    @classmethod
    def new(
        cls,
        architecture: Architecture,
        optimizer: Optimizer,
        averaged: bool,
        seed: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> "TrainingState":
        """A state before the first step; initial weights are drawn on the CPU and so the same on any device.

        Args:
            precision: of the signals between the layers; weights, optimisers and the average stay in float32.
        """
        networks = {name: network.to(device) for name, network in architecture.networks(seed).items()}
        state = cls(
            networks,
            {name: optimizer.build(network.parameters()) for name, network in networks.items()},
            None,
            architecture.representation().to(device),
        )
        if averaged:
            state.average = averaged_copy(state.generator)
        for network in networks.values():
            network.precision = precision
        return state

    @property
    def generator(self) -> Generator:
        return cast(Generator, self.networks["generator"])

    @property
    def device(self) -> torch.device:
        return next(self.generator.parameters()).device

    @property
    def best_generator(self) -> Generator:
        """The averaged generator where there is one."""
        return self.average or self.generator

    def state_dict(self) -> dict[str, Any]:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {"step": self.step, "attempt": self.attempt, **parts}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            FauxleyError: it does not fit these networks. Nothing is changed then.
        """
        self._check(saved)
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.step, self.attempt = saved["step"], saved["attempt"]

    def _check(self, saved: dict[str, Any]) -> None:
        """Compare everything with what is there before anything is used."""
        parts = self._parts()
        if saved.keys() != {"step", "attempt", *parts}:
            raise FauxleyError("it is of other networks")
        for name in ("step", "attempt"):
            require_count(saved[name], name)
        for name, part in parts.items():
            if isinstance(part, RepeatableOptimizer):
                part.check(saved[name])
                continue
            expected = part.state_dict()
            if saved[name].keys() != expected.keys():
                raise FauxleyError(f"its {name} is another network")
            for weight, like in expected.items():
                require_like(saved[name][weight], like, f"{name}.{weight}")

    def set_learning_rate(self, rate: float) -> None:
        """The learning rate of all networks for the next step."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate

    def is_finite(self) -> bool:
        """Whether all weights and statistics are finite numbers."""
        networks = (*self.networks.values(), self.best_generator)
        finite = [torch.isfinite(p).all() for network in networks for p in (*network.parameters(), *network.buffers())]
        return bool(torch.stack(finite).all())  # the host asks a GPU once, not for each weight

    def write(self, folder: Path) -> None:
        """Write the training state into an existing folder."""
        # By way of memory: writing to a full disk, PyTorch hides the OSError behind "enforce fail".
        (folder / _FILE).write_bytes(self.to_bytes())

    def to_bytes(self) -> memoryview:
        """The training state as it is written."""
        buffer = io.BytesIO()
        torch.save(self.state_dict(), buffer)
        return buffer.getbuffer()

    def read(self, folder: Path) -> None:
        """Take over what `write` wrote.

        Raises:
            FauxleyError: the file is missing, damaged, or of other networks.
        """
        file = folder / _FILE
        with reading(f"{file} cannot be resumed from"):
            content = read_file(file, self._most_bytes())
            require_tensors_only(content, self._num_tensors())
            self.from_bytes(content)

    def from_bytes(self, content: bytes) -> None:
        """Take over what `to_bytes` gave.

        Raises:
            FauxleyError: it is damaged, or does not fit.
        """
        try:
            # weights_only: nothing but tensors and plain containers is ever unpickled.
            saved = torch.load(io.BytesIO(content), map_location=self.device, weights_only=True)
        except Exception as error:  # there is no end to what a damaged file makes PyTorch raise
            raise FauxleyError(one_line(error)) from error
        try:
            self.load_state_dict(saved)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # containers of another kind
            raise FauxleyError("it is no training state") from error

    def _num_tensors(self) -> int:
        """How many tensors a file of this state holds at most."""
        return sum(len(part.state_dict()) for part in self._parts().values() if isinstance(part, nn.Module)) + sum(
            len(optimizer.moments) * len(group["params"])
            for optimizer in self.optimizers.values()
            for group in optimizer.param_groups
        )

    def _most_bytes(self) -> int:
        """The size of a file of this state, generously: a stranger's is not read to its end if it is larger."""
        modules = [part for part in self._parts().values() if isinstance(part, nn.Module)]
        kept = sum(int(value.nbytes) for module in modules for value in module.state_dict().values())
        moments = max(len(optimizer.moments) for optimizer in self.optimizers.values())
        return (1 + moments) * kept + (self._num_tensors() + 1000) * 1024

    def _parts(self) -> dict[str, Any]:
        optimizers = {f"{name}_optimizer": optimizer for name, optimizer in self.optimizers.items()}
        parts = {**self.networks, **optimizers, "representation": self.representation}
        return parts if self.average is None else {**parts, "average": self.average}
