"""Tools for a model's latents: variations, paths, the latent nearest to a real sound, knobs, choosing among sounds."""
