"""Makes the pages under `docs/reference` from the code: `python docs/generate.py [--check]`.

`--check` writes nothing and exits 1 if what is checked in differs. What each page says, and where it has it from, is in `docs/pages`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pages import command_line, error_tree, metric_list, pipeline_file, python_api, wiring_notation

REFERENCE = Path(__file__).resolve().parent / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "pipeline-file.md": pipeline_file.page,
    "wiring.md": wiring_notation.page,
    "cli.md": command_line.page,
    "python.md": python_api.page,
    "errors.md": error_tree.page,
    "metrics.md": metric_list.page,
}


def main() -> int:
    made = {REFERENCE / name: page() for name, page in PAGES.items()}
    if "--check" in sys.argv[1:]:
        stale = [str(path) for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
        for name in stale:
            print(f"{name} is not what docs/generate.py makes; run it and commit the result", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
