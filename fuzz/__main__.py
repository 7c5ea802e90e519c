"""Fuzzing from the command line; `scripts/fuzz` is the usual door."""

import argparse
import random
import sys
from pathlib import Path


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    once = commands.add_parser("try", help="run a harness over files")
    once.add_argument("target")
    once.add_argument("files", type=Path, nargs="+")
    seeds = commands.add_parser("seeds", help="write what a harness starts from")
    seeds.add_argument("target")
    seeds.add_argument("folder", type=Path)
    mutate = commands.add_parser("mutate", help="change seeds at random, without atheris")
    mutate.add_argument("targets", nargs="*")
    mutate.add_argument("--inputs", type=int, help="most inputs of each harness")
    mutate.add_argument("--seconds", type=float, default=60.0, help="longest time of each harness")
    mutate.add_argument("--seed", type=int, help="repeats a run that had this number")
    mutate.add_argument("--faults", type=Path, default=Path(".fuzz"), help="where faults are kept")
    guide = commands.add_parser("guide", help="let atheris find new paths (libFuzzer's arguments)")
    guide.add_argument("target")
    return parser.parse_known_args()


def _guide(name: str, arguments: list[str]) -> None:
    import atheris  # noqa: PLC0415 - not there for every Python

    with atheris.instrument_imports(include=["mwl"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented as it is imported
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].run)
    atheris.Fuzz()


def _mutate(options: argparse.Namespace) -> int:
    from fuzz import mutation  # noqa: PLC0415 - see `_guide`
    from fuzz.targets import TARGETS  # noqa: PLC0415 - see `_guide`

    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    sys.stdout.write(f"seed {seed}\n")
    for name in options.targets or TARGETS:
        try:
            done = mutation.run(TARGETS[name], seed, inputs=options.inputs, seconds=options.seconds)
        except mutation.FoundError as found:
            mutation.report(name, found, options.faults)
            return 1
        sys.stdout.write(
            f"{name:<16} {done.inputs:>9,} inputs in {done.seconds:6.1f} s, "
            f"memory grew {done.growth_kib / 1024:.1f} MiB\n"
        )
        sys.stdout.flush()
    return 0


def main() -> int:
    """Do what the arguments say; give the exit status."""
    options, others = _arguments()
    if options.command == "guide":
        _guide(options.target, others)
        return 0
    if options.command == "mutate":
        return _mutate(options)
    from fuzz.targets import TARGETS  # noqa: PLC0415 - see `_guide`

    target = TARGETS[options.target]
    if options.command == "try":
        for file in options.files:
            target.run(file.read_bytes())
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (options.folder / f"seed-{number}").write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
