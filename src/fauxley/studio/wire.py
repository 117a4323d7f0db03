"""How sounds travel to the page: one answer holds many, as numbers that a browser can play without decoding.

4 bytes   length of the header, an unsigned integer, little-endian
header    JSON in UTF-8, padded with spaces to a multiple of 4: `SoundsHeader`
samples   float32, little-endian: sound after sound, in each channel after channel
"""

import json
import struct
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import soundfile
from pydantic import BaseModel

from fauxley.sounds.writing import quantise
from fauxley.studio.instruments import Float

MEDIA_TYPE = "application/vnd.fauxley.sounds"


class SoundFacts(BaseModel):
    """What a sound is: enough to make it again, and to know what may be done with it.

    Attributes:
        model: which the sound was made by; "" for a recording.
        model_name: the same in words.
        seed: if the latent is that of a seed.
        latent: from which the model makes the sound; empty for a recording.
        labels: weights of labels.
        license: of the sounds that the model learned from.
        made: how it came to be.
        name: of a file; "" for what was generated.
    """

    model: str = ""
    model_name: str = ""
    seed: int | None = None
    latent: list[float] = []
    labels: dict[str, float] = {}
    license: str = ""
    made: str = "new"
    name: str = ""


class SoundsHeader(BaseModel):
    """What an answer with sounds begins with."""

    sample_rate: int
    channels: int
    samples: int
    sounds: list[SoundFacts]


def pack(clips: Float, sample_rate: int, facts: Sequence[SoundFacts]) -> bytes:
    """The bytes of sounds (N, C, T)."""
    _, channels, samples = clips.shape
    header = SoundsHeader(sample_rate=sample_rate, channels=channels, samples=samples, sounds=list(facts))
    text = header.model_dump_json().encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + clips.astype("<f4", copy=False).tobytes()


def unpack(content: bytes) -> tuple[SoundsHeader, Float]:
    """Header and sounds (N, C, T) of what `pack` has made."""
    (length,) = struct.unpack_from("<I", content)
    header = SoundsHeader(**json.loads(content[4 : 4 + length]))
    samples = np.frombuffer(content, "<f4", offset=4 + length)
    return header, samples.reshape(len(header.sounds), header.channels, header.samples)


def wav_bytes(clip: Float, sample_rate: int) -> bytes:
    """A WAV file of 16 bits of one sound (C, T): the very samples that `fauxley generate` writes."""
    encoded = BytesIO()
    samples = quantise(clip).astype(np.int16)
    soundfile.write(encoded, samples.T, sample_rate, subtype="PCM_16", format="WAV")
    return encoded.getvalue()
