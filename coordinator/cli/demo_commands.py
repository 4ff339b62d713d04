"""What the demo tells a person to type: while it runs, and by hand afterwards."""

import shutil
import sys
from pathlib import Path


def scripts_folder() -> Path | None:
    """Where edgectl lies, if a shell would not find it."""
    return None if shutil.which("edgectl") else Path(sys.executable).parent


def meanwhile(address: str, broker_url: str, scripts: Path | None) -> str:
    """What to try in another terminal while it runs."""
    port = broker_url.rpartition(":")[2]
    return f"""meanwhile, in another terminal:
{_on_path(scripts)}  export NEARFIELD_COORDINATOR={address}
  edgectl node list
  edgectl deployment show demo
  edgectl results tail --site hall-a
  mosquitto_sub -p {port} -t 'edge/v1/live/#'"""


def next_steps(assets: Path, scripts: Path | None) -> str:
    """The demo by hand."""
    return f"""
the same by hand, each in a terminal of its own:
{_on_path(scripts)}  edge-coordinator init --dir coord && edge-coordinator serve --dir coord
  edge-node run --name cam-1 --site hall-a --source line={assets}/clip/line.mp4,loop=true
  edgectl model push {assets}/inspection
  edgectl deployment apply {assets}/deployment.yaml
  edgectl results tail"""


def _on_path(scripts: Path | None) -> str:
    return f"  export PATH={scripts}:$PATH\n" if scripts else ""
