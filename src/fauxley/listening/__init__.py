"""Listening tests: what people hear, asked fairly and counted honestly.

In the order in which a test takes place:

study         a study: its sounds, where they come from, what is asked; `study.json`
stimuli       making clips alike in level, length and rate; anchors; tones that tell headphones
creation      drawing clips and writing a study's folder
assignment    who hears what, in which order
questions     a question as a listener sees it, the answer, the rating that is recorded
answers       the database `answers.sqlite`
server        the requests of the page over HTTP; web/: the page itself
statistics    intervals, significance tests and agreement
carelessness  the rule by which careless listeners are set aside
results       all figures of a study
tables        figures in the terminal, answers as CSV
report        the HTML page and report.json
"""
