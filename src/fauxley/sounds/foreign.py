"""What a file is that is no audio: a hint for whoever finds it among sounds."""

# Beginnings of what decoders know. Of a file that begins otherwise, what they say about it is a misunderstanding.
_AUDIO = (
    b"RIFF", b"RF64", b"BW64", b"RIFX", b"FORM", b"fLaC", b"OggS", b"ID3", b".snd", b"dns.", b"caff", b"riff\x2e\x91",
    b"wvpk", b"MAC ", b"TTA1", b"tBaK", b"MPCK", b"MP+", b"ajkg", b"#!AMR", b"\x0b\x77", b"\x1aE\xdf\xa3",
    b"0&\xb2u\x8ef\xcf\x11", b"FLV", b"DSD ", b"Creative Voice File", b"NIST_1A", b"\x7f\xfe\x80\x01", b".RMF", b"ea3",
)  # fmt: skip

_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer in place of the file; 'git lfs pull' fetches it"),
    (b"/annex/objects/", "a git-annex pointer in place of the file; 'git annex get' fetches it"),
    (b"bplist00", "a property list, perhaps a placeholder of iCloud; download the file first"),
    (b"CAT ", "a REX loop; export its slices as WAV, with ReCycle or a sampler"),
    (b"\x12\x90\xa8\x7f", "a Kontakt instrument; export its samples as WAV"),
    (b"PK\3\4", "a ZIP archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"MThd", "a MIDI file: notes, no sound"),
    (b"\0\5\x16\7", "a resource fork of macOS, not the file itself"),
)

# Endings of what holds sounds but cannot be opened here → what to do about it.
SAMPLER_ENDINGS = {
    **dict.fromkeys((".rx2", ".rex", ".rcy"), "a REX loop; export its slices as WAV, with ReCycle or a sampler"),
    **dict.fromkeys((".nki", ".nkx", ".ncw", ".nks"), "of a Kontakt instrument; export its samples as WAV"),
    **dict.fromkeys((".sf2", ".sf3", ".dls", ".gig"), "a bank of sounds; export its samples as WAV"),
}


def is_audio_like(head: bytes) -> bool:
    """Whether a file that begins with `head` claims to be audio, or a film."""
    return head.startswith(_AUDIO) or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def foreign_kind(head: bytes) -> str:
    """What a file that begins with `head` is instead of audio, or ""."""
    for magic, kind in _FOREIGN:
        if head.startswith(magic):
            return kind
    start = head[:200].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, perhaps of a download that failed"
    return ""
