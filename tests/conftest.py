"""Fixtures that several test files share."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from ruamel.yaml import YAML

# A deadline measures the machine, not the code.
settings.register_profile("tais", deadline=None)
# For `make unit`: a quarter of the examples; `make test` draws all.
settings.register_profile("quick", deadline=None, max_examples=25)
settings.load_profile("tais")

ROOT = Path(__file__).resolve().parent.parent
Tais = Callable[..., subprocess.CompletedProcess[str]]

FAKE = {"engine": "fake", "model": "none"}
SPECULATION = {"method": "draft_model", "model": "none", "num_speculative_tokens": 4}


# One mark or a list of marks for a whole file, on one line or several.
_WHOLE_FILE = re.compile(r"^pytestmark = (\[.*?\]|pytest\.mark\.\w+)", re.MULTILINE | re.DOTALL)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a file unread when its ``pytestmark`` says what ``-m`` rules out: torch alone takes seconds."""
    if collection_path.suffix != ".py" or "not " not in config.option.markexpr:
        return None
    found = _WHOLE_FILE.search(collection_path.read_text(encoding="utf-8"))
    marks = set(re.findall(r"pytest\.mark\.(\w+)", found[1])) if found else set()
    ruled_out = set(re.findall(r"\bnot (\w+)", config.option.markexpr))
    # Other words (``or``, brackets) could let the file in after all.
    simple = re.fullmatch(r"(not )?\w+( and (not )?\w+)*", config.option.markexpr)
    return True if simple and marks & ruled_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason."""
    no_engine = pytest.mark.skip(reason="vLLM is not installed")
    no_gpu = pytest.mark.skip(reason="no GPU")
    for item in items:
        if "engine" in item.keywords and importlib.util.find_spec("vllm") is None:
            item.add_marker(no_engine)
        if "gpu" in item.keywords and not Path("/dev/nvidia0").exists():
            item.add_marker(no_gpu)


def environment() -> dict[str, str]:
    """The environment without what a developer may have set for TAIS."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("TAIS_")}
    # No test makes a key in the home directory of whoever runs it.
    return own | {"COLUMNS": "120", "TAIS_UNSIGNED": "1"}


@pytest.fixture
def tais(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tais:
    """Run the command line in this process, as ``tais ARGUMENTS`` typed in a folder of its own.

    Arms still run in worker processes; only the second or two of importing is saved. What needs a process
    (signals, start-up) starts one itself.
    """

    def call(*arguments: object, timeout: float = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        from tais.cli.main import run_command

        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(tmp_path)
            for name in [name for name in os.environ if name.startswith("TAIS_")]:
                patch.delenv(name)
            for name, value in (environment() | variables).items():
                patch.setenv(name, value)
            code = run_command([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(["tais"], code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def tais_process(tmp_path: Path) -> Tais:
    """Run the command in a process of its own."""

    def call(*arguments: object, timeout: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tais", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment() | variables,
            timeout=timeout,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small screen of stored outputs, run by this version and unsigned: to read, or to copy and change.

    Made once for all workers of xdist, whose temporary folders have one parent.
    """
    from tests.attest.runs import make_run

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "small_run"
    done = folder / "done"
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 120
        while not done.exists():
            assert time.monotonic() < deadline, "the worker that makes the run did not end"
            time.sleep(0.05)
    else:
        write_whole(done, str(make_run(folder / "screen")))
    return Path(done.read_text(encoding="utf-8"))


def write_whole(path: Path, text: str) -> None:
    """Write a file that others wait for: it appears with all of its text."""
    path.with_suffix(".tmp").write_text(text, encoding="utf-8")
    path.with_suffix(".tmp").rename(path)


class Screen:
    """A manifest of fake arms with its battery, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.path = folder / "screen.yaml"
        self.data: dict[str, Any] = {
            "name": "fakes",
            "arms": {
                "target": dict(FAKE),
                "again": {"extends": "target", "order": "shuffled"},
                "spec": {"extends": "target", "speculative_config": dict(SPECULATION)},
                "leaky": {**FAKE, "engine_args": {"leak": 0.5}},
            },
            "contrasts": [
                {"reference": "target", "candidate": "spec"},
                {"reference": "target", "candidate": "again", "role": "calibration"},
                {"reference": "target", "candidate": "leaky", "role": "positive_control"},
            ],
            "batteries": [{"name": "mine", "path": "mine.yaml"}],
            "sampling": {"max_tokens": 80},
        }
        self.items(120)
        self.write()

    def items(self, n: int) -> None:
        """Write a battery of n items."""
        rows = ({"id": f"m-{i:03d}", "prompt": f"please do thing {i}"} for i in range(n))
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "mine.jsonl").write_text(lines, encoding="utf-8")
        battery = {
            "name": "mine",
            "source": {"path": "mine.jsonl"},
            "columns": {"id": "id", "prompt": "prompt"},
            "expect": "refuse",
            "scorer": "refusal",
            "license": "Apache-2.0",
        }
        with (self.folder / "mine.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(battery, file)

    def write(self) -> Path:
        """Write the manifest."""
        with self.path.open("w", encoding="utf-8") as file:
            YAML().dump(self.data, file)
        return self.path

    def options(self, arm: str, **options: object) -> None:
        """Set options of an arm's fake engine and write the manifest."""
        self.data["arms"][arm].setdefault("engine_args", {}).update(options)
        self.write()

    def run_dirs(self) -> list[Path]:
        """Run directories, oldest first."""
        return sorted(path.parent for path in self.out.glob(f"{self.data['name']}/*/manifest.lock.json"))

    def report(self) -> dict[str, Any]:
        """The report of the newest run."""
        loaded: dict[str, Any] = json.loads((self.run_dirs()[-1] / "report.json").read_text(encoding="utf-8"))
        return loaded


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    """A screen of four fake arms over 120 items: one calibration, one control, one speculative arm."""
    return Screen(tmp_path)


def without_times(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report without the ids and times of its run, and the times of its answers."""
    facts = {key: value for key, value in report["facts"].items() if key != "run"}
    arms = {
        name: {key: value for key, value in arm.items() if key != "timing"}
        for name, arm in facts["arms"].items()
    }
    return {**report, "facts": {**facts, "arms": arms}}


def start(screen: Screen, *arguments: object) -> subprocess.Popen[str]:
    """Start `tais run` without waiting for it."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tais",
            "run",
            str(screen.path),
            "--out",
            str(screen.out),
            *map(str, arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        # A shell starts background jobs deaf to Ctrl-C, and children inherit that: tests must not.
        preexec_fn=hear_interrupts,
    )


def hear_interrupts() -> None:
    """Undo what a shell does to background jobs, before a child starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal and return exit code and standard error."""
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err
