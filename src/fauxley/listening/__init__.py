"""Listening tests: what people hear, asked fairly and counted honestly.

study        what is asked, about which sounds, and which sound comes from where: the secret of the server
clips        sounds of models, datasets and folders, one way to draw them
sounds       every clip as loud and as long as any other; degraded anchors; tones that tell headphones
assembly     draws the clips, renders them and writes a study's folder
assignment   who hears what, in which order: balanced, blinded, a function of (seed, listener)
answers      SQLite: nothing acknowledged is lost, nothing counted twice
agreement    Krippendorff's alpha
inference    bootstrap intervals over raters and clips, tests of differences
carelessness who did not listen, by a stated rule
results      all figures of a study, with and without the careless
"""
