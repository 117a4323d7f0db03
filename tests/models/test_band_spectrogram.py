"""The default model's spectrogram: what goes in comes back, attack, level and silence included."""

import numpy as np
import pytest
import torch

from fauxley.errors import UsageError
from fauxley.evaluation.metrics.signal_measures import measure
from fauxley.models.band_spectrogram import BandSpectrogram, band_averages
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.signal.stft import stft

RATE, LENGTH = 16000, 8000


def hits(count=8):
    """Decaying tones and noise, loud from the first sample on, then silent: (count, 1, LENGTH)."""
    rng = np.random.default_rng(0)
    time = np.arange(LENGTH) / RATE
    tones = [np.cos(2 * np.pi * rng.uniform(80, 3000) * time) for _ in range(count // 2)]
    noises = [rng.uniform(-1, 1, LENGTH) for _ in range(count - count // 2)]
    envelope = np.exp(-time / 0.02) * (time < 0.25)
    sounds = np.stack([sound * envelope for sound in (*tones, *noises)])
    return torch.from_numpy(0.9 * sounds / np.abs(sounds).max(1, keepdims=True)).float()[:, None]


def fitted(length=LENGTH, window=512, iterations=32):
    hop = window // 4
    frames = 32 * -(-(length + window - hop) // (32 * hop))
    representation = BandSpectrogram(length, frames, window, hop, iterations, 0.99)
    representation.fit([hits()])
    return representation


def test_bands_cover_all_bins_once_and_are_narrow_where_pitch_is_heard():
    averaging = band_averages(256)
    assert averaging.shape == (128, 256)
    torch.testing.assert_close(averaging.sum(1), torch.ones(128))
    assert ((averaging > 0).sum(0) == 1).all()
    widths = (averaging > 0).sum(1)
    assert widths.tolist() == [1] * 64 + [2] * 32 + [4] * 32


def test_features_are_the_formula():
    representation, audio = fitted(), hits()
    features = representation.to_features(audio)
    assert features.shape == (8, 1, 128, representation.frames)
    assert features.amax((0, 1, 3)).min() > 0.99  # of each band the loudest frame
    assert (features > 0.9999).sum() <= 140  # and nothing is clipped
    padded = torch.nn.functional.pad(audio, (384, 0))
    magnitude = stft(padded, 512, 128).abs()
    # Band 70 is the seventh of those of two bins: 64 + 2 * 6 and the one after it.
    band = (magnitude[..., 76:78].square().mean(-1)).sqrt()
    expected = (torch.log(band + 3e-3) - representation.mean[70]) / representation.std[70] / 3
    found = features[:, :, 70, : band.shape[-1]]
    torch.testing.assert_close(found, expected.clamp(-1, 1), atol=1e-4, rtol=1e-4)


def test_a_hit_comes_back_with_its_attack_its_level_and_its_silence():
    representation, audio = fitted(), hits()
    back = representation.to_audio(representation.to_features(audio))
    assert back.shape == audio.shape
    first = RATE // 100  # 10 ms, in which the tones and noises have most of their power
    there, here = (sound[..., :first].square().sum((1, 2)) for sound in (audio, back))
    change = (here / there).log10().mul(10).numpy()
    np.testing.assert_allclose(change[:4], 0, atol=1.5)  # dB, of tones, by the phases that they happen to get
    np.testing.assert_allclose(change[:4].mean(), 0, atol=0.5)
    # Of noise, which is turned down as a whole: its samples come back in another order, with higher peaks.
    np.testing.assert_allclose(change[4:], 0, atol=6)
    assert back.abs().amax() <= 1
    # 0.25 s later there is nothing, and nothing comes back: 80 dB below full scale.
    assert back[..., RATE // 3 :].abs().max() < 1e-4


def test_a_smooth_spectrogram_as_networks_make_them_does_not_buzz_at_the_rate_of_the_frames():
    representation = fitted()
    coarse = torch.rand(16, 1, 8, representation.frames // 16, generator=torch.Generator().manual_seed(0)) - 0.5
    features = 0.6 * torch.nn.functional.interpolate(coarse, scale_factor=16, mode="bilinear")

    def buzz():
        clips = representation.to_audio(features)[:, 0].numpy()
        return np.median(measure(clips, RATE)["artefact_db"])  # at multiples of rate / 64, every second of rate / 128

    noise = np.random.default_rng(0).standard_normal((16, LENGTH)).astype(np.float32) / 8
    of_noise = np.median(measure(noise, RATE)["artefact_db"])
    assert buzz() < of_noise
    representation.first_phases = lambda magnitude: None  # as the official code does
    assert buzz() > of_noise + 0.3


def test_silence_is_silence():
    representation = fitted()
    back = representation.to_audio(representation.to_features(torch.zeros(1, 1, LENGTH)))
    assert back.abs().max() < 1e-4


def test_peaks_are_as_the_datas():
    representation = fitted(iterations=0)  # the first phases
    torch.testing.assert_close(representation.peaks, torch.tensor([0.9, 0.9]))
    loud, quiet = torch.ones(1, 1, 128, representation.frames), torch.zeros(1, 1, 128, representation.frames)
    quiet[..., 8:12] = 0.5
    for features in (loud, quiet):
        back = representation.to_audio(features)
        torch.testing.assert_close(back.abs().amax(), torch.tensor(0.9))
    representation.fit([hits() * torch.linspace(0.01, 1, 8)[:, None, None]])  # data of all levels allows all
    assert representation.peaks[0] < 0.1


def test_a_lead_that_is_known_to_be_silent_makes_attacks_steep():
    representation, audio = fitted(), hits()
    features = representation.to_features(audio)
    known = representation.to_audio(features)
    representation.lead = 0  # from here on Griffin-Lim does not know
    magnitude = representation.to_magnitude(features)
    guessed = representation._griffin_lim(magnitude)[..., 384 : 384 + LENGTH]
    first = slice(0, RATE // 250)  # 4 ms

    def share(sound):
        return sound[..., first].square().sum((1, 2)) / sound.square().sum((1, 2))

    wanted = share(audio)
    assert (share(known) - wanted).abs().mean() < (share(guessed) - wanted).abs().mean()


@pytest.mark.parametrize("length", [1, 1000, 16000, 16001, 64768])
@pytest.mark.parametrize("channels", [1, 2])
def test_clips_of_any_length(length, channels):
    architecture = SpecGAN(length, channels, 5, 1, spectrogram="bands", window_length=256, hop_length=64)
    representation = architecture.representation()
    audio = torch.rand(2, channels, length) - 0.5
    features = representation.to_features(audio)
    generated = architecture.generator(Draws(0))(Draws(1).latents(2, 5))
    assert generated.shape == features.shape
    assert architecture.critic(Draws(0))(features, []).shape == (2,)
    assert representation.to_audio(generated).shape == audio.shape


def test_windows_that_do_not_divide_into_bands_are_refused():
    with pytest.raises(UsageError, match="multiple of 128; got 192"):
        SpecGAN(spectrogram="bands", window_length=192)


def test_a_model_of_bands_comes_back_from_its_folder(tmp_path):
    architecture = SpecGAN(
        clip_length=4000, dim=2, latent_size=5, spectrogram="bands", window_length=128, hop_length=32
    )
    synthesizer = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)
    loaded = Synthesizer.from_pretrained(synthesizer.save(tmp_path / "model"))
    assert torch.equal(loaded.generate(3), synthesizer.generate(3))
