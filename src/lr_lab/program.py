"""The entry of every program: a person's mistake is answered in one sentence.

This module imports Python's own library only, and programs import the rest of theirs inside `main`: an interpreter
without the environment gets that far and can say so, and --help need not wait for torch.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lr_lab.errors import UserError, end, not_yaml
from lr_lab.terminal import keep_printing_harmless

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OWN = ("lr_lab", "src")

_COMPLETING = ("-sc", "--shell-completion", "--shell_completion")


@contextmanager
def answered(interrupted: str = "Interrupted.") -> Iterator[None]:
    """Ends the process with one sentence for a mistake or a missing package (exit code 2) and for Ctrl-C (130).

    Args:
        interrupted: what a person is told who presses Ctrl-C.
    """
    try:
        yield
    except UserError as error:
        end(error)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OWN:
            raise  # a fault of this project, not of the environment
        end(
            f"{sys.executable} has no package {error.name}; run `make setup` once, then start the program with "
            ".venv/bin/python instead."
        )
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def program(
    name: str, interrupted: str = "Interrupted."
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """A decorator: the function becomes a program that reads conf/<name>.yaml and the command line.

    The function gets the composed configuration. Choices and keys of the command line are checked before it is called.

    Args:
        interrupted: as `answered`.
    """

    def decorate(main: Callable[[DictConfig], Any]) -> Callable[[], None]:
        @functools.wraps(main)
        def task(cfg: DictConfig) -> Any:
            with answered(interrupted):  # within Hydra, which would show a traceback
                return main(cfg)

        def start() -> None:
            keep_printing_harmless()
            with answered(interrupted):
                _run(task, name)

        return start

    return decorate


def _run(task: Callable[[DictConfig], Any], name: str) -> None:
    import hydra
    import yaml
    from hydra.errors import HydraException

    from lr_lab.run.command_line import in_one_sentence, tidied
    from lr_lab.run.config import CONFIG_DIR, check_choices, keys_of
    from lr_lab.run.help import register as register_help

    register_help()
    sys.path.append(str(Path.cwd()))  # a network of a person's own may lie there; `python src/train.py` leaves it out
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors then, and does not print them over several lines
    try:
        if not any(flag in sys.argv for flag in _COMPLETING):
            sys.argv[1:] = tidied(sys.argv[1:], (*keys_of(name), "experiment", "hydra"))
            check_choices(sys.argv[1:], name)
        elif "query=bash" not in sys.argv:
            raise UserError(f"Tab completion is switched on in bash by: source {CONFIG_DIR.parent / 'completion.bash'}")
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=name)(task)()
    except HydraException as error:
        raise UserError(in_one_sentence(error)) from error
    except yaml.YAMLError as error:
        raise not_yaml(error) from error
