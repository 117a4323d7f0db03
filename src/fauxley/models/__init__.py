"""The models: WaveGAN, SpecGAN and WaveNet, their layers, and the synthesizer that plays them."""
