"""Reading labels from the command line: `snare`, `kick=0.7,snare=0.3`, `all`."""

from collections.abc import Sequence

from fauxley.cli.shared.values import UnreadableError, read_real
from fauxley.errors import UsageError
from fauxley.models.conditioning import find_label
from fauxley.rendering.batches import LabelWish, in_turn, wish


def read_wishes(words: Sequence[str], known: Sequence[str]) -> tuple[LabelWish, ...]:
    """The labels that sounds will have in turn; without words, all that the model knows.

    Raises:
        UsageError: the model does not know a label, or has none, or a mixture cannot be read.
    """
    if words and not known:
        raise UsageError("this model has no labels; leave out --label")
    if not words:
        return in_turn(known)
    wishes: list[LabelWish] = []
    for word in words:
        wishes += in_turn(known) if word == "all" and word not in known else [wish(_shares(word, known), known)]
    return tuple(wishes)


def _shares(word: str, known: Sequence[str]) -> dict[str, float]:
    if word in known:  # a label may have an equals sign or a comma in it
        return {word: 1.0}
    if "=" not in word:
        if "," in word:
            one, another = [part.strip() for part in word.split(",")][:2]
            raise UsageError(
                f"{word!r} is not a label; write several labels as in --label {one} {another}, and a mixture of them "
                f"as in {one}=0.5,{another}=0.5"
            )
        return {word: 1.0}
    shares: dict[str, float] = {}
    for part in word.split(","):
        label, _, share = part.strip().rpartition("=")
        if not label:
            raise UsageError(f"{word!r} is not a mixture of labels; write one as in kick=0.7,snare=0.3")
        find_label(label, known)
        if label in shares:
            raise UsageError(f"{word!r} names {label!r} twice")
        try:
            shares[label] = read_real(share)
        except UnreadableError as error:
            raise UsageError(f"{word!r} is not a mixture of labels: {error}") from error
    if len(shares) == 1 and 0 < shares[label] < 1:  # almost certainly a part of a mixture, written with a space
        raise UsageError(
            f"{word!r} is a mixture of one label; write mixtures without spaces, as in kick=0.7,snare=0.3, or "
            f"{label} alone"
        )
    return shares
