"""What the demo tells a person to type: while it runs, and by hand afterwards."""

import shutil
import sys
from pathlib import Path


def scripts_folder() -> Path | None:
    """Where edgectl lies, if a shell would not find it."""
    return None if shutil.which("edgectl") else Path(sys.executable).parent


def meanwhile(address: str, home: Path, broker_url: str, scripts: Path | None) -> str:
    """What to try in another terminal while it runs; `home` is the coordinator's folder.

    In lines that are short, because a display that folds a line breaks what is copied from it.
    """
    port = broker_url.rpartition(":")[2]
    return f"""meanwhile, in another terminal:
{_on_path(scripts)}  demo={home}
  export NEARFIELD_COORDINATOR={address}
  export NEARFIELD_CREDENTIALS=$demo/admin.pem
  edgectl node list
  edgectl deployment show demo
  edgectl results tail --site hall-a
  mosquitto_sub -h 127.0.0.1 -p {port} -t 'edge/v1/live/#' \\
    --cafile $demo/admin.pem --cert $demo/admin.pem --key $demo/admin.pem"""


def next_steps(assets: Path, scripts: Path | None) -> str:
    """The demo by hand."""
    return f"""
the same by hand, each in a terminal of its own:
{_on_path(scripts)}  edge-coordinator init --dir coord && edge-coordinator serve --dir coord
  export NEARFIELD_CREDENTIALS=coord/admin.pem
  edgectl node token create --site hall-a --name cam-1    # prints the line that makes a device a node: run it, then
  edge-node run --source line={assets}/clip/line.mp4,loop=true
  edgectl model push {assets}/inspection --key coord/keys/publisher.key
  edgectl deployment apply {assets}/deployment.yaml
  edgectl results tail"""


def _on_path(scripts: Path | None) -> str:
    return f"  export PATH={scripts}:$PATH\n" if scripts else ""
