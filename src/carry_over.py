"""Runs of earlier versions under today's names: `python -m src.carry_over outputs`."""

from __future__ import annotations

import sys
from pathlib import Path

from lr_lab.errors import UserError, not_there
from lr_lab.parser import Parser
from lr_lab.program import answered


def main() -> None:
    from lr_lab.run.carry_over import carry_over_archive, carry_over_study

    parser = Parser(
        prog="python -m src.carry_over",
        description="Gives runs of earlier versions today's names, so that their sweeps find them again. "
        "Starting it twice changes nothing.",
    )
    parser.add_argument(
        "places", nargs="+", type=Path, help="output folders such as outputs, or archives of runs (runs.tar.gz)"
    )
    found = 0
    for place in parser.parse_args().places:
        if not place.exists():
            raise not_there(place, "name a folder such as outputs, or an archive of runs")
        archives = [place] if place.is_file() else sorted(place.glob("reports/*/runs.tar.gz"))
        studies = [] if place.is_file() else sorted({file.parents[1] for file in place.glob("*/*/config.yaml")})
        for path, carry_over in [
            *((s, carry_over_study) for s in studies),
            *((a, carry_over_archive) for a in archives),
        ]:
            try:
                changed, problems = carry_over(path)
            except UserError as error:
                changed, problems = 0, [str(error)]
            print(f"{path}: {changed} runs have new names")
            for problem in problems:
                print(f"error: {problem}", file=sys.stderr)
            found += len(problems)
    sys.exit(2 if found else 0)


if __name__ == "__main__":
    with answered():
        main()
