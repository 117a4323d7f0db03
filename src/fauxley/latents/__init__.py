"""Ways through the latents of a model: variations, paths, the latent of a real sound, knobs, choosing the best."""
