"""Writes and removes the service's files below a root: `/`, or the folder of an image or a test.

What they are is decided in `unit.py`. A file that does not begin with our mark is never overwritten and never removed.
"""

import shutil
import sys
import sysconfig
from pathlib import Path

from edge_node.errors import BadInput, Refused
from edge_node.service.unit import CONFIG, MARK, NAME, STATE, TEMPLATES, USB, WANTED, hidden, rendered


def installed_program() -> Path:
    """The program of this installation.

    Raises:
        BadInput: it was not installed.
    """
    program = Path(sysconfig.get_path("scripts")) / NAME
    if not program.is_file():
        raise BadInput(f"{program} is missing: install Nearfield with pip, or say which program with --program")
    return program


def check_seen(program: Path) -> None:
    """See that a service can run the program.

    Raises:
        Refused: it, its interpreter or its package lies where services don't look.
    """
    unseen = hidden(str(path.resolve()) for path in (program, Path(sys.base_prefix), Path(__file__)))
    if unseen is not None:
        raise Refused(
            f"{unseen} is hidden from services: install Nearfield below /opt, "
            f"python3 -m venv /opt/nearfield && /opt/nearfield/bin/pip install 'nearfield[node]'"
        )


def file_text(place: str, program: Path) -> str:
    """The content of one of the service's files.

    Raises:
        BadInput: this installation has no templates.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "templates", here.parents[2] / "deploy" / "systemd" / "node"):
        if (template := folder / TEMPLATES[place]).is_file():
            return rendered(template.read_text(encoding="utf-8"), str(program))
    raise BadInput(f"the template {TEMPLATES[place]} is missing: install Nearfield again")


def install(root: Path, program: Path, *, usb: bool, config: str) -> list[Path]:
    """Write the service's files below a root, and the configuration where there is none.

    Returns:
        What was written: nothing where everything was there.

    Raises:
        Refused: a file of that name is somebody else's.
        OSError: a file cannot be written.
    """
    places = [place for place in TEMPLATES if usb or place != USB]
    for place in TEMPLATES:
        _check_ours(root / place)
    written = [root / place for place in places if _write(root / place, file_text(place, program))]
    configuration = root / CONFIG.lstrip("/")
    if not configuration.exists() and _write(configuration, config, mode=0o640):
        written.append(configuration)
    return written


def forbid_usb(root: Path) -> list[Path]:
    """Remove what an earlier `install --usb` wrote, after `install` has seen that it is ours; what was removed."""
    if not (root / USB).exists():
        return []
    (root / USB).unlink()
    _remove_empty((root / USB).parent)
    return [root / USB]


def uninstall(root: Path, *, purge: bool) -> list[Path]:
    """Remove what `install` wrote; with `purge` configuration and state too.

    Returns:
        What was removed.

    Raises:
        Refused: a file of that name is somebody else's.
        OSError: a file cannot be removed.
    """
    places = [root / place for place in TEMPLATES if (root / place).exists()]
    for place in places:
        _check_ours(place)
        place.unlink()
    (root / WANTED).unlink(missing_ok=True)
    _remove_empty((root / USB).parent)
    if purge:
        places += _purge(root)
    return places


def _purge(root: Path) -> list[Path]:
    configuration, state = root / CONFIG.lstrip("/"), root / STATE.lstrip("/")
    removed = [place for place in (configuration, state) if place.exists()]
    configuration.unlink(missing_ok=True)
    _remove_empty(configuration.parent)
    if state.exists():
        shutil.rmtree(state)
    return removed


def _check_ours(file: Path) -> None:
    if file.exists() and not file.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise Refused(f"{file} was not written by {NAME} install: move it away first")


def _write(file: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file unless it says so already; whether it was written."""
    if file.exists() and file.read_text(encoding="utf-8", errors="replace") == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_name(f".{file.name}.new")
    staged.touch(mode=mode)
    staged.write_text(text, encoding="utf-8")
    staged.chmod(mode)
    staged.replace(file)
    return True


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
