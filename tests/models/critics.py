"""Critics with large random weights, in double precision, and features for them."""

import torch
from torch import Tensor

from fauxley.models.architecture import AdversarialArchitecture
from fauxley.models.critic import Critic
from fauxley.models.draws import Draws


def critic_of(architecture: AdversarialArchitecture) -> Critic:
    critic = architecture.critic(Draws(0, 1)).double()
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return critic


def examples(architecture: AdversarialArchitecture, count: int = 3) -> Tensor:
    torch.manual_seed(1)
    audio = torch.rand(count, architecture.channels, architecture.clip_length) - 0.5
    return architecture.representation().to_features(audio).double()
