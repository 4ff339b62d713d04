"""Hostile files, made when a test needs them and never committed.

    for name, hostile in build(tmp_path).items():
        hostile.path, hostile.stopped_by, hostile.why

`stopped_by` says who must stop it: `admission` refuses the file before an engine sees it; `worker` means that no
static look can tell (it computes its size, or its end), and that the limits of the worker must contain it.
`bundle_around(hostile, folder)` makes a bundle of a model file.

`python -m tests.hostile FOLDER` writes the corpus for a person.
"""

from tests.hostile.corpus import build, bundle_around
from tests.hostile.kinds import Hostile

__all__ = ["Hostile", "build", "bundle_around"]
