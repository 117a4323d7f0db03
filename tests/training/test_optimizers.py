"""TensorFlow 1's update rules, against their formulas in NumPy, and across a restart."""

import copy

import numpy as np
import pytest
import torch

from fauxley.training.optimizers import Adam, RMSProp

STEPS = 12


def adam(w, gradients, rate=1e-2, beta1=0.5, beta2=0.999):
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        w = w - rate * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + 1e-8)
    return w


def rmsprop(w, gradients, rate=1e-2):
    s = np.ones_like(w)
    for g in gradients:
        s = 0.9 * s + 0.1 * g**2
        w = w - rate * g / np.sqrt(s + 1e-10)
    return w


CASES = {"adam": (Adam(learning_rate=1e-2, beta2=0.999), adam), "rmsprop": (RMSProp(learning_rate=1e-2), rmsprop)}


@pytest.mark.parametrize(("config", "formula"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("restarted", [False, True])
def test_updates_follow_the_formula(config, formula, restarted):
    random = np.random.default_rng(0)
    # Down to sizes where epsilon, and where it is added, decides.
    gradients = random.standard_normal((STEPS, 50)) * np.logspace(-9, 1, 50)
    start = random.standard_normal(50)
    weight = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = config.build([weight])
    for step, gradient in enumerate(gradients):
        if restarted and step == STEPS // 2:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = config.build([weight])
            optimizer.load_state_dict(saved)
        weight.grad = torch.from_numpy(gradient)
        optimizer.step()
    change = weight.detach().numpy() - start
    np.testing.assert_allclose(change, formula(start, gradients) - start, rtol=1e-5, atol=1e-13)


@pytest.mark.parametrize("config", [case[0] for case in CASES.values()], ids=CASES)
def test_weights_without_a_gradient_stay(config):
    weight = torch.nn.Parameter(torch.ones(3))
    config.build([weight]).step()
    assert torch.equal(weight.detach(), torch.ones(3))
