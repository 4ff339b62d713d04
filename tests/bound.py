"""Before a test's command: its process ends with the tests, also where these are killed."""

import shutil

SETPRIV = shutil.which("setpriv")
BOUND = () if SETPRIV is None else (SETPRIV, "--pdeathsig", "KILL", "--")
"""A process that its parent's end kills. Where util-linux lacks setpriv, only the tests' own end does."""
