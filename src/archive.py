"""The runs of a study in one small file, to go on elsewhere: `python -m src.archive keep decay_mnist`."""

from __future__ import annotations

from pathlib import Path

from lr_lab.parser import Parser
from lr_lab.program import answered


def main() -> None:
    from lr_lab.run.archive import keep, restore

    parser = Parser(
        prog="python -m src.archive",
        description="keep puts what the runs of a study left, less checkpoints and logs, beside its report; "
        "restore brings it back, and files that are there stay.",
    )
    parser.add_argument("what", choices=["keep", "restore"])
    parser.add_argument("study", help="the folder of the runs, such as decay_mnist")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs"), help="where studies are (outputs)")
    parser.add_argument("--fewer", action="store_true", help="keep these runs although the archive has more")
    asked = parser.parse_args()
    if asked.what == "keep":
        archive, count = keep(asked.study, asked.output_dir, asked.fewer)
        print(f"{archive} keeps {count} finished runs.")
    else:
        archive, count = restore(asked.study, asked.output_dir)
        print(f"{archive} brought {count} runs back to {asked.output_dir / asked.study}.")


if __name__ == "__main__":
    with answered():
        main()
