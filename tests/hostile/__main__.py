"""`python -m tests.hostile FOLDER`: the corpus, for a person."""

import sys
from pathlib import Path

from tests.hostile import build

for name, hostile in build(Path(sys.argv[1])).items():
    print(f"{name:32} {hostile.stopped_by:10} {hostile.why}")
