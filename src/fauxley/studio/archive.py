"""An archive of sounds: a WAV file of each, and beside it in JSON what it is."""

import zipfile
from collections.abc import Sequence
from io import BytesIO

from fauxley.studio.instruments import Float
from fauxley.studio.shelf import file_name
from fauxley.studio.wire import SoundFacts, wav_bytes


def write_archive(sounds: Sequence[tuple[str, Float, int, SoundFacts]]) -> bytes:
    """The bytes of a zip file of sounds: each a name, audio (C, T), its sample rate, and what it is."""
    encoded, names = BytesIO(), set[str]()
    with zipfile.ZipFile(encoded, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, clip, rate, facts in sounds:
            stem = plain = file_name(name or "sound")
            number = 2
            while stem.lower() in names:
                stem, number = f"{plain}-{number}", number + 1
            names.add(stem.lower())
            archive.writestr(f"{stem}.wav", wav_bytes(clip, rate))
            archive.writestr(f"{stem}.json", facts.model_dump_json(indent=2))
    return encoded.getvalue()
