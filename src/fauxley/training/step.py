"""A training step: the objective's updates, one after another, of whatever networks and losses."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from fauxley.models.critic import Critic
from fauxley.models.draws import Draws
from fauxley.models.network import Generator
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
    labels: Sequence[Tensor] = (),
) -> dict[str, Tensor]:
    """Take one step: carry out each of the objective's updates once.

    Args:
        batches: `objective.num_batches` batches of real features (B, ...); each process has its own rows.
        draws: returns the random numbers of the n-th update of this step.
        accumulate: the number of parts in which each batch is computed, to save memory; it must divide B.
        ranks: the processes that take this step together.
        updater: carries out the updates; None for an `Updater`.
        labels: of each batch (B, L), for conditional networks.

    Returns:
        Losses and other numbers to record, of the last update of each network, as tensors without gradient.
    """
    updater = updater or Updater()
    state.generator.train()
    last: dict[str, dict[str, Tensor]] = {}
    for number, update in enumerate(objective.updates()):
        place = min(number, len(batches) - 1)
        told = labels[place : place + 1]  # empty if there are no labels
        values = updater.update(state, update, batches[place], partial(draws, number), accumulate, ranks, *told)
        last[update.network] = last.get(update.network, {}) | values  # only some updates have a lazy penalty
    state.step += 1
    return {name: value for values in last.values() for name, value in objective.describe(ranks.gather(values)).items()}


class Updater:
    """Carries out updates: gradients by autograd, then the optimiser."""

    def update(
        self,
        state: TrainingState,
        update: Update,
        real: Tensor,
        draws: Callable[[], Draws],
        accumulate: int,
        ranks: Ranks,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Carry out one update; return its loss (1,) and the values of all examples of this process.

        Args:
            draws: each call returns the random numbers of this update from the start.
            labels: of `real`, (B, L), for conditional networks.
        """
        state.optimizers[update.network].prepare()
        values = find_gradients(state, update, real, draws(), accumulate, labels)
        ranks.average_gradients(update.network, state.networks[update.network])
        apply_gradients(state, update)
        return values


def find_gradients(
    state: TrainingState, update: Update, real: Tensor, draws: Draws, accumulate: int, labels: Tensor | None = None
) -> dict[str, Tensor]:
    """The first half of an update: compute the gradients of the network's weights.

    Losses do not know of labels: conditional networks are bound to the batch's labels beforehand, so generated clips
    have the labels of the real clips that they are compared with.

    Returns:
        The same as `Updater.update`.
    """
    state.optimizers[update.network].zero_grad()
    losses = []
    with _only(update.network, state.networks):
        for number, part in enumerate(real.chunk(accumulate)):
            networks = state.networks if labels is None else _given(labels.chunk(accumulate)[number], state.networks)
            loss = update.loss(networks, part, draws)
            (loss.total / accumulate).backward()  # type: ignore[no-untyped-call]
            losses.append(loss)
    total = torch.stack([loss.total.detach() for loss in losses]).mean()
    values = {name: torch.cat([loss.values[name].detach().view(-1) for loss in losses]) for name in losses[0].values}
    return {f"{update.network}_loss": total.view(1), **values}


def apply_gradients(state: TrainingState, update: Update) -> None:
    """The second half of an update: change the network's weights by their gradients."""
    state.optimizers[update.network].apply()
    update.after(state.networks[update.network])


def _given(labels: Tensor, networks: Mapping[str, nn.Module]) -> Networks:
    return {name: cast(Generator | Critic, network).given(labels) for name, network in networks.items()}


@contextmanager
def _only(name: str, networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Compute no gradients for the weights of the other networks."""
    others = [network for other, network in networks.items() if other != name]
    for network in others:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in others:
            network.requires_grad_(True)
