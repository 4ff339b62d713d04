"""Hostile files of a bundle that are no models: golden vectors, labels, `model.toml`."""

import gzip
import io
import pickle
import struct
import zipfile
import zlib

import numpy as np

from tests.hostile.kinds import Recipe, refused, sparse

MiB = 1024**2
GiB = 1024**3


def header(descr: str, shape: str) -> bytes:
    """The start of an `.npy` file (NEP 1, version 1.0)."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(**members: bytes) -> bytes:
    """A `.npz` file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name.replace("_", ".") + ".npy", data)
    return content.getvalue()


def zip_bomb() -> bytes:
    """8 GiB of zeros in 8 MB: the same deflated MiB over and over."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(MiB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    repeated = 8 * 1024 - 1
    data = block * repeated + deflate.flush()
    name, size = b"input.0.npy", min(repeated * MiB, 2**32 - 2)
    fixed = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(data), size, len(name), 0)
    local = b"PK\x03\x04" + fixed + name
    central = b"PK\x01\x02\x14\x00" + fixed + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(data), 0)
    return local + data + central + end


def pickled() -> bytes:
    """An array of objects, which numpy would unpickle."""
    return archive(input_0=header("'|O'", "(1,)") + pickle.dumps([print]), output_0=header("'<f4'", "(1,)") + bytes(4))


def many_members() -> bytes:
    """Sixty thousand arrays."""
    return archive(**{f"input_{i}": b"" for i in range(60_000)})


def real_with(**changed: bytes) -> bytes:
    """A vector in order, with members changed."""
    content = io.BytesIO()
    np.savez_compressed(content, **{"input.0": np.zeros(4, np.float32)})  # type: ignore[arg-type]
    good = zipfile.ZipFile(content).read("input.0.npy")
    return archive(**{"input_0": good, "output_0": good, **changed})


BUNDLE_FILES: tuple[Recipe, ...] = (
    refused("bomb.npz", "4 GiB of zeros in 8 MB", zip_bomb),
    refused("gzip_bomb.npz", "a gzip of a GiB, no archive", lambda: gzip.compress(bytes(64 * MiB), 1)),
    refused("pickle.npz", "objects that reading would run", pickled),
    refused("bare_pickle.npz", "a pickle, no archive", lambda: pickle.dumps([print])),
    refused(
        "declared.npz",
        "an array of 160 GB without content",
        lambda: real_with(output_0=header("'<f4'", "(40000000000,)")),
    ),
    refused(
        "overflow.npz",
        "axes whose product does not fit",
        lambda: real_with(output_0=header("'<f4'", "(4611686018427387904, 16)")),
    ),
    refused("negative.npz", "a negative axis", lambda: real_with(output_0=header("'<f4'", "(-4,)"))),
    refused(
        "long_header.npz",
        "a header of 60 KB of brackets",
        lambda: real_with(output_0=header("'<f4'", "(" * 30_000 + ")" * 30_000)),
    ),
    refused("many_members.npz", "sixty thousand arrays", many_members),
    refused(
        "climbing.npz",
        "a member that is called like a file elsewhere",
        lambda: archive(**{"../../etc/passwd": header("'<f4'", "(1,)") + bytes(4)}),
    ),
    refused("truncated.npz", "cut off", lambda: real_with()[:-40]),
    sparse("one_line.txt", "a label of 1 GB", GiB),
    refused("many_labels.txt", "three million labels", lambda: b"a\n" * 3_000_000),
    refused("long_label.txt", "a label of 500 KB", lambda: b"a" * 500_000),
    refused("no_text.txt", "labels that are no text", lambda: b"\xff\xfe" * 100),
    sparse("hole.toml", "a model.toml of 1 GB", GiB),
    refused("brackets.toml", "a hundred thousand arrays in one another", lambda: b"a = " + b"[" * 100_000),
    refused("tables.toml", "tables in one another", lambda: b"[" + b".".join([b"a"] * 100_000) + b"]\n"),
    refused("digits.toml", "a number of 100,000 digits", lambda: b"name = " + b"9" * 100_000),
    refused("strings.toml", "a name of 900 KB", lambda: b'name = "' + b"a" * 900_000 + b'"'),
)
