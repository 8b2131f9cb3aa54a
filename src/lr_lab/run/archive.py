"""The files of a study's runs, in one small file beside its report: `<output_dir>/reports/<study>/runs.tar.gz`."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from lr_lab.errors import UserError
from lr_lab.run.folder import FINISHED, collect_results, run_folders, written_aside

# Left out: files that a run needs to go on, and files that a person reads only while it trains.
_LEFT_OUT = ("checkpoints", "tensorboard", "train.log")
_SPOILED = (OSError, EOFError, tarfile.TarError, zlib.error)


def keep(study: str, output_dir: Path, fewer: bool = False) -> tuple[Path, int]:
    """Packs the runs of a study, without checkpoints and logs; returns the archive and the number of its finished runs.

    Args:
        fewer: whether they may replace an archive of more finished runs.

    Raises:
        UserError: there are no runs, there were more, or the archive cannot be written.
    """
    archive = archive_of(study, output_dir)
    if not run_folders(output_dir / study):
        raise UserError(f"{output_dir / study} holds no runs to keep; name a study that does: make keep STUDY=demo")
    count = sum(result["status"] in FINISHED for result in collect_results(output_dir / study))
    before = _finished(archive)
    if count < before and not fewer:
        raise UserError(
            f"{archive} keeps {before} finished runs and {output_dir / study} has {count}, so it stays as it is; "
            f"bring the others back with make restore STUDY={study}, or insist: make keep STUDY={study} FEWER=1"
        )
    pack(output_dir, archive, study, _LEFT_OUT)
    return archive, count


def restore(study: str, output_dir: Path) -> tuple[Path, int]:
    """Unpacks the archive of a study; files that are there stay. The archive, and how many runs have come back.

    Raises:
        UserError: there is no archive, or it cannot be unpacked.
    """
    archive = archive_of(study, output_dir)
    if not archive.exists():
        raise UserError(f"There is no {archive}; make keep STUDY={study} makes it where the runs are.")
    before = len(run_folders(output_dir / study))
    try:
        with tarfile.open(archive) as kept:
            missing = [member for member in kept if not (output_dir / member.name).exists()]
            kept.extractall(output_dir, missing, filter="data")
    except _SPOILED as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}); make it again with make keep STUDY={study}"
        ) from error
    return archive, len(run_folders(output_dir / study)) - before


def archive_of(study: str, output_dir: Path) -> Path:
    return output_dir / "reports" / study / "runs.tar.gz"


def _finished(archive: Path) -> int:
    """The number of finished runs in an archive; those that can be read if it is cut short."""
    count = 0
    with suppress(*_SPOILED), tarfile.open(archive) as kept:
        for member in kept:
            if member.name.endswith("/result.json") and (file := kept.extractfile(member)):
                with suppress(ValueError, TypeError):
                    count += json.load(file)["status"] in FINISHED
    return count


def pack(place: Path, archive: Path, below: str = ".", left_out: Collection[str] = ()) -> None:
    """Writes the files of a folder as an archive; the same files give the same bytes. Hidden ones are left out.

    Args:
        place: the folder to which paths in the archive are relative.
        below: the folder, relative to it.
        left_out: names of files and folders.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in sorted((place / below).rglob("*")):
            path = file.relative_to(place)
            if file.is_file() and not any(part.startswith(".") or part in left_out for part in path.parts):
                member = tarfile.TarInfo(str(path))
                member.size = file.stat().st_size
                with file.open("rb") as content:
                    tar.addfile(member, content)
    with written_aside(archive) as aside:
        aside.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
