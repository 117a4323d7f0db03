"""Export: sampler kits, models for other programs and for the browser, models on a hub.

`kit_sources` gathers sounds, `kit` arranges them on keys, and `kit_formats` writes them. `portable` makes a model one
function from latents to audio, which `onnx_model` and `torchscript` write and `browser` puts on a page. `hub` shares
model folders.
"""
