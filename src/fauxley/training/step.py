"""A training step: the objective's updates, one after another, whatever networks and losses those are of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from fauxley.models.draws import Draws
from fauxley.training.objectives import Networks, Objective, Update
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.state import TrainingState


def train_step(
    state: TrainingState,
    objective: Objective,
    batches: Sequence[Tensor],
    draws: Callable[[int], Draws],
    accumulate: int = 1,
    ranks: Ranks = ONE,
    updater: "Updater | None" = None,
) -> dict[str, Tensor]:
    """Take one step: carry out each of the objective's updates once.

    Args:
        batches: `objective.num_batches` batches of real features (B, ...), of which each process has its own rows.
        draws: gives the random numbers of the n-th update of this step.
        accumulate: parts that each batch is computed in, to save memory; B must be a multiple.
        ranks: the processes that take this step together.
        updater: carries out the updates; None: one that does so plainly.

    Returns:
        Losses and other numbers to record, of the last update of each network, as tensors without gradient.
    """
    updater = updater or Updater()
    state.generator.train()
    last: dict[str, dict[str, Tensor]] = {}
    for number, update in enumerate(objective.updates()):
        real = batches[min(number, len(batches) - 1)]
        values = updater.update(state, update, real, partial(draws, number), accumulate, ranks)
        last[update.network] = last.get(update.network, {}) | values  # a lazy penalty comes with some updates only
    state.step += 1
    return {name: value for values in last.values() for name, value in objective.describe(ranks.gather(values)).items()}


class Updater:
    """Carries out updates plainly: gradients by autograd, then the optimiser."""

    def update(
        self,
        state: TrainingState,
        update: Update,
        real: Tensor,
        draws: Callable[[], Draws],
        accumulate: int,
        ranks: Ranks,
    ) -> dict[str, Tensor]:
        """Carry out one update; return its loss (1,) and the values of all examples of this process.

        Args:
            draws: each call gives the random numbers of this update, from the first on.
        """
        state.optimizers[update.network].prepare()
        values = find_gradients(state, update, real, draws(), accumulate)
        ranks.average_gradients(update.network, state.networks[update.network])
        apply_gradients(state, update)
        return values


def find_gradients(
    state: TrainingState, update: Update, real: Tensor, draws: Draws, accumulate: int
) -> dict[str, Tensor]:
    """Do the first half of an update: find the gradients of the network's weights.

    Returns:
        What `Updater.update` does.
    """
    state.optimizers[update.network].zero_grad()
    losses = []
    with _only(update.network, state.networks):
        for part in real.chunk(accumulate):
            loss = update.loss(state.networks, part, draws)
            (loss.total / accumulate).backward()  # type: ignore[no-untyped-call]
            losses.append(loss)
    total = torch.stack([loss.total.detach() for loss in losses]).mean()
    values = {name: torch.cat([loss.values[name].detach().view(-1) for loss in losses]) for name in losses[0].values}
    return {f"{update.network}_loss": total.view(1), **values}


def apply_gradients(state: TrainingState, update: Update) -> None:
    """Do the second half of an update: change the network's weights by their gradients."""
    state.optimizers[update.network].apply()
    update.after(state.networks[update.network])


@contextmanager
def _only(name: str, networks: Networks) -> Iterator[None]:
    """Compute no gradients for the weights of the other networks."""
    others = [network for other, network in networks.items() if other != name]
    for network in others:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in others:
            network.requires_grad_(True)
