"""A model as TorchScript, for hosts that play models in C++ (libtorch), such as audio plug-ins.

PyTorch has deprecated TorchScript in favour of `torch.export`, but those hosts load nothing else. The file contains a
description, `fauxley.json`, which `torch.jit.load` returns by `_extra_files`.
"""

import io
import json
import warnings
from pathlib import Path

import torch

from fauxley import kernels
from fauxley.export.portable import Agreement, Inputs, PortableModel, agreement_of, describe, require_agreement
from fauxley.models.synthesizer import Synthesizer
from fauxley.storage import atomic_file

FACTS = "fauxley.json"
_CHECKED_SEEDS = 5


def write_torchscript(synthesizer: Synthesizer, path: Path) -> Agreement:
    """Write a module whose `forward` turns latents (B, latent_size), and labels (B, L) in a conditional model, into
    audio (B, C, T), and compare it with PyTorch.

    Raises:
        UsageError: the model cannot be exported, see `PortableModel`.
        FauxleyError: the module's sounds differ from PyTorch's.
    """
    model = PortableModel(synthesizer)
    inputs = Inputs.of_seeds(synthesizer, range(_CHECKED_SEEDS))
    fed = [value.to(synthesizer.device) for value in inputs.named.values()]
    example = tuple(value[:2] for value in fed)
    with kernels.use("plain"), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecation
        traced = torch.jit.freeze(torch.jit.trace(model, example, check_trace=False))  # type: ignore[no-untyped-call]
        content = io.BytesIO()
        torch.jit.save(traced, content, _extra_files={FACTS: json.dumps(describe(synthesizer), indent=2)})
        content.seek(0)
        loaded = torch.jit.load(content)  # type: ignore[no-untyped-call]
        audio = loaded(*fed).cpu().numpy()
    agreement = agreement_of(audio, inputs.reference(synthesizer))
    require_agreement(agreement, synthesizer, inputs, "TorchScript")
    with atomic_file(path) as partial:
        partial.write_bytes(content.getvalue())
    return agreement
