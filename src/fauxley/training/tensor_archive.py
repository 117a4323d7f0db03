"""What may be in a file that `torch.save` wrote, looked at before PyTorch is given it.

Such a file is a zip archive of raw tensors and a pickle that says how they hang together. PyTorch's own restricted
reader runs no code, but it inflates what is compressed, does not look at checksums, and knows how to build far more
kinds of tensors than are wanted here.
"""

import io
import pickletools
import zlib
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from fauxley.errors import FauxleyError

_ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch FloatStorage",
    "torch LongStorage",
}
_PICKLE = 8192  # bytes at most, and for each tensor
_ENTRY = 512
_OTHER_RECORDS = 20  # besides tensors: version, byte order, ...


def require_tensors_only(content: bytes, num_tensors: int) -> None:
    """Check that an archive holds at most so many plain tensors of float32 or int64, whole, in plain containers.

    Raises:
        FauxleyError: it is damaged, or holds something else.
    """
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            records = archive.infolist()
            if len(records) > num_tensors + _OTHER_RECORDS:
                raise FauxleyError("it holds too many records")
            if any(record.compress_type != ZIP_STORED for record in records):
                raise FauxleyError("its records are compressed")
            if sum(record.file_size for record in records) > len(content):
                raise FauxleyError("its records are larger than it is")
            if damaged := archive.testzip():
                raise FauxleyError(f"the checksum of {damaged!r:.60} is wrong")
            pickles = [record for record in records if record.filename.endswith("data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _PICKLE + _ENTRY * num_tensors:
                raise FauxleyError("it has no description of a proper size")
            _require_known(archive.read(pickles[0]))
    except (
        OSError,
        ValueError,
        LookupError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        BadZipFile,
        zlib.error,
    ) as error:
        raise FauxleyError(f"it is not an archive of tensors: {error!s:.200}") from error


def _require_known(pickle: bytes) -> None:
    """Check that a pickle names nothing that is not allowed, by whatever opcode."""
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name in ("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise FauxleyError(f"it builds objects by {opcode.name}")
        if opcode.name == "GLOBAL" and argument not in _ALLOWED:
            raise FauxleyError(f"it holds {argument!r:.80}")
