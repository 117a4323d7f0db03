"""A stand-in for CUDA graphs on the CPU: records the operations that PyTorch carries out, and repeats just those.

Like a graph, it knows nothing of Python: a number that the host worked out is frozen, a tensor is a place in memory,
and recording leaves no trace in what was there before.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from fauxley.training.cuda_graphs import Recorder


class Tape(Recorder):
    def __init__(self):
        self.recorded = 0
        self.performed = 0

    def perform(self, work):
        self.performed += 1
        return work()

    def record(self, work):
        self.recorded += 1
        tape = _Recording()
        with tape:
            results = work()
        tape.undo()

        def repeat():
            tape.repeat()
            return results

        return repeat


class _Recording(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations = []
        self.known = set()
        self.before = []
        self.kept = []  # so that no place is used twice

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "local_scalar_dense" in str(operation):
            raise RuntimeError("the host asked for a value")
        for value in _tensors((args, kwargs)):
            if _place(value) not in self.known:
                self.known.add(_place(value))
                self.before.append((value, value.clone()))
        results = operation(*args, **kwargs)
        made = _tensors(results)
        self.known.update(map(_place, made))
        self.kept.append((args, kwargs, made))
        self.operations.append((operation, args, kwargs, made))
        return results

    @torch.no_grad()
    def undo(self):
        for value, before in self.before:
            value.copy_(before)

    def repeat(self):
        with torch.no_grad():
            for operation, args, kwargs, made in self.operations:
                for old, new in zip(made, _tensors(operation(*args, **kwargs)), strict=True):
                    if _place(old) != _place(new):
                        old.copy_(new)


def _tensors(tree):
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, torch.Tensor)]


def _place(tensor):
    return tensor.untyped_storage().data_ptr()
