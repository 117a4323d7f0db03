"""What PyTorch does not promise to keep can go, and the same is computed without it."""

import torch
from torch import nn

from fauxley.kernels import torch_private


def without(monkeypatch, holder, name):
    """Have an attribute missing, as it would be in another version."""
    kept = type("Kept", (), {})()
    monkeypatch.setattr(torch_private, "torch", kept, raising=True)
    for each in dir(torch):
        if each != holder:
            setattr(kept, each, getattr(torch, each))
    return kept, name


def test_adam_without_the_fused_kernel_takes_the_same_steps(monkeypatch):
    results = []
    for fused in (True, False):
        if not fused:
            without(monkeypatch, "_fused_adam_", None)
        torch.manual_seed(0)
        weights, means, squares = [torch.randn(3, 4), torch.randn(5)], [], []
        for weight in weights:
            means.append(torch.zeros_like(weight))
            squares.append(torch.zeros_like(weight))
        for _ in range(3):
            gradients = [torch.randn_like(weight) for weight in weights]
            torch_private.fused_adam(weights, gradients, means, squares, torch.tensor(0.1), (0.5, 0.9), 1e-8)
        results.append([*weights, *means, *squares])
    torch.testing.assert_close(*results)


def test_slopes_without_the_fused_kernel_are_the_same(monkeypatch):
    torch.manual_seed(0)
    signal, output = torch.randn(2, 50), torch.randn(2, 50)
    expected = torch_private.leaky_relu_slopes(signal, output, 0.2)
    kept, _ = without(monkeypatch, "ops", None)
    kept.ops = type("Ops", (), {"aten": object()})()
    torch.testing.assert_close(torch_private.leaky_relu_slopes(signal, output, 0.2), expected)
    torch.testing.assert_close(expected, torch.maximum(output, 0.2 * output).sign().gt(0) * 0.8 * signal + 0.2 * signal)


def test_where_hooks_cannot_be_seen_a_module_counts_as_altered(monkeypatch):
    layer = nn.Identity()
    assert torch_private.is_unaltered(layer, nn.Identity.forward)
    monkeypatch.setattr(torch_private, "_HOOKS", ("_hooks_of_another_version",))
    assert not torch_private.is_unaltered(layer, nn.Identity.forward)
