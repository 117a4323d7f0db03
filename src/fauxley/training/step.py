"""One training step: the objective's updates, one after another.

Nothing here knows which networks or which loss it is running.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from fauxley.models.draws import Draws
from fauxley.training.objective import Networks, Objective, Update
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.state import TrainingState


def train_step(
    state: TrainingState,
    objective: Objective,
    batches: Sequence[Tensor],
    draws: Callable[[int], Draws],
    accumulate: int = 1,
    ranks: Ranks = ONE,
) -> dict[str, Tensor]:
    """Carry out each of the objective's updates once.

    Args:
        batches: `objective.num_batches` batches of real features (B, ...), of which each process has its own rows.
        draws: the random numbers of the n-th update of this step.
        accumulate: parts that each batch is computed in, to save memory; B must be a multiple.
        ranks: the processes that take this step together.

    Returns:
        Losses and what else tells how it goes, as tensors without gradient, of the last update of each network.
    """
    state.generator.train()
    last: dict[str, dict[str, Tensor]] = {}
    for number, update in enumerate(objective.updates()):
        real = batches[min(number, len(batches) - 1)]
        values = _update(state, update, real, draws(number), accumulate, ranks)
        last[update.network] = last.get(update.network, {}) | values  # some come with some updates only
    state.step += 1
    return {name: value for values in last.values() for name, value in objective.describe(ranks.gather(values)).items()}


def _update(
    state: TrainingState, update: Update, real: Tensor, draws: Draws, accumulate: int, ranks: Ranks
) -> dict[str, Tensor]:
    """Carry out one update; return its loss (1,) and the values of all examples of this process."""
    optimizer = state.optimizers[update.network]
    optimizer.zero_grad()
    losses = []
    with _only(update.network, state.networks):
        for part in real.chunk(accumulate):
            loss = update.loss(state.networks, part, draws)
            (loss.total / accumulate).backward()  # type: ignore[no-untyped-call]
            losses.append(loss)
    ranks.average_gradients(update.network, state.networks[update.network])
    optimizer.step()
    update.after(state.networks[update.network])
    total = torch.stack([loss.total.detach() for loss in losses]).mean()
    values = {name: torch.cat([loss.values[name].detach().view(-1) for loss in losses]) for name in losses[0].values}
    return {f"{update.network}_loss": total.view(1), **values}


@contextmanager
def _only(name: str, networks: Networks) -> Iterator[None]:
    """Spare the gradients of weights that are not being updated."""
    others = [network for other, network in networks.items() if other != name]
    for network in others:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in others:
            network.requires_grad_(True)
