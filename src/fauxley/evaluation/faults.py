"""What disqualifies a set of clips whatever its distances say.

Distances in embeddings are deaf to level (a classifier's, on purpose), and clipped or repeated sounds can come out near
to the data. A checkpoint with a fault is chosen only where there is none without.
"""

import numpy as np

from fauxley.evaluation.figures import Figures
from fauxley.evaluation.metrics.copies import SURE

_LEVEL_DB = 6.0
_CLIPPED = 0.001  # of the samples, beyond what real clips have
_SILENT_DB = -60.0
_SILENT = 0.05  # of the clips, beyond what real clips have
_REPEATED = 0.1
_COPIED = 0.05


def faults(figures: Figures, real: Figures) -> list[str]:
    """Names of what is wrong with a set of clips beside real ones; none where it is sound.

    `level`: typically 6 dB louder or quieter. `clipping`: in more than 0.1 % of the samples. `silence`: of more than
    5 % of the clips. `repetition`: more than 10 % are another clip of the set again. `copies`: more than 5 % are
    surely training clips again. All beyond what is so among real clips.
    """
    mine, theirs = figures.measures, real.measures
    level = float(np.median(mine["level_db"]) - np.median(theirs["level_db"]))
    clipped = float(mine["clipping"].mean() - theirs["clipping"].mean())
    silent = float((mine["level_db"] < _SILENT_DB).mean() - (theirs["level_db"] < _SILENT_DB).mean())
    copied = sum(copy.similarity >= SURE for copy in figures.copies) / max(figures.looked_at, 1)
    found = {
        "level": abs(level) > _LEVEL_DB,
        "clipping": clipped > _CLIPPED,
        "silence": silent > _SILENT,
        "repetition": figures.scores["repeated"].value - real.scores["repeated"].value > _REPEATED,
        "copies": copied - real.scores["copies"].value > _COPIED,
    }
    return [name for name, there in found.items() if there]
