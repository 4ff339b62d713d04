"""`edgectl key`: signing keys of publishers. They are files; no coordinator hears of them."""

from pathlib import Path
from typing import Annotated

import typer

from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json
from coordinator.trust.signing_keys import make_key, public_file, public_line
from protos.envelope import key_id

app = typer.Typer(help="Signing keys of publishers.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _keys() -> None:
    """Signing keys of publishers."""


@app.command("create")
def create_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="named after its owner, for example alice.key")],
    as_json: AsJson = False,
) -> None:
    """Make a key: FILE is secret (mode 0600), FILE.pub is for edgectl trust update."""
    signer = make_key(file)
    if as_json:
        print_json({"file": str(file), "public": str(public_file(file)), "name": signer.name, "id": key_id(signer.key)})
        return
    print(f"{file} is secret; {public_file(file)}: {public_line(signer).strip()}")
    print(f"next: edgectl trust update --add-publisher {public_file(file)} -o root.json")
