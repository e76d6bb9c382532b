"""What a run holds, as pandas frames for notebooks.

Everything here reads and nothing writes. A frame is made of the columns that it shows, so that the tokens of
a million answers, which no frame shows, are never in memory together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tais.analysis.analyse import reexamine
from tais.analysis.first_difference import first_difference
from tais.common.text import visible
from tais.errors import Place, StoreError, TaisError, UsageError
from tais.records import Message
from tais.report.headline import headline
from tais.report.tables.sweep import sweep_view
from tais.report.wording import endpoint_name
from tais.rundir.asked import asked_otherwise
from tais.rundir.items import StoredItem, prompt_text
from tais.rundir.layout import RunDir, check_finished
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock
from tais.rundir.samples import read_batches
from tais.rundir.scores import KEY, answer_texts, flipped_scores, paired_scores, sample_keys
from tais.rundir.scores import SCHEMA as SCORES
from tais.runs import listing
from tais.verdict.evidence import ScreenEvidence
from tais.verdict.facts import damaged_report
from tais.verdict.report import ContrastReport, Report

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunResult", "list_runs", "open_run"]

_TEXT, _COUNT, _NUMBER = pa.string(), pa.int64(), pa.float64()
_ASKED = ("battery", "item_id", "cluster", "messages", "expect", "chat")
_SAMPLES = pa.schema(
    [
        *((name, _TEXT) for name in ("arm", "battery", "item_id")),
        ("repeat", pa.int32()),
        ("text", _TEXT),
        ("finish_reason", _TEXT),
        ("tokens", pa.int32()),
        ("seconds", pa.float32()),
    ]
)
_ENDPOINTS = pa.schema(
    [
        *((name, _TEXT) for name in ("reference", "candidate", "role", "battery", "stratum", "scorer")),
        ("n", _COUNT),
        *((name, _NUMBER) for name in ("reference_rate", "candidate_rate", "difference")),
        *((name, _NUMBER) for name in ("ci_low", "ci_high", "p", "h")),
        ("verdict", _TEXT),
        ("scale", _TEXT),
    ]
)
_FLIPS = pa.schema(
    [
        *((name, _TEXT) for name in ("reference", "candidate", "battery", "item_id")),
        ("repeat", pa.int32()),
        ("reference_label", _TEXT),
        ("candidate_label", _TEXT),
        ("first_difference", _COUNT),
    ]
)
_CELLS = [("endpoint", _TEXT), ("difference", _NUMBER), ("verdict", _TEXT)]
_RUNS = pa.schema(
    [
        ("name", _TEXT),
        ("run", _TEXT),
        ("date", pa.timestamp("us", tz="UTC")),
        ("verdict", _TEXT),
        ("contrasts", _COUNT),
        ("signed", pa.bool_()),
        ("problem", _TEXT),
        ("path", _TEXT),
    ]
)
_BACKUP = "Take the run directory from its backup, or run the screen again"


class RunResult:
    """A run, finished or not: its lock, its report, and frames of what it holds.

    Parameters
    ----------
    run_dir
        A run directory, as ``tais run`` prints it.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def __repr__(self) -> str:
        return f"RunResult({str(self.run_dir)!r})"

    def _repr_html_(self) -> str:
        """Return the headline of the report; every text in it is escaped."""
        try:
            top = headline(self.report)
        except TaisError as error:
            return f"<p>{_html(str(error))}</p>"
        rows = "".join(
            f"<tr><th>{name}</th><td>{_html(figure.value)}</td><td>{_html(figure.meaning)}</td></tr>"
            for name, figure in top.figures
        )
        return f"<p><b>{_html(top.verdict)}</b>: {_html(top.claim)}</p><table>{rows}</table>"

    @cached_property
    def lock(self) -> Lock:
        """What was fixed before the first token."""
        return read_lock(self.run_dir)

    @cached_property
    def report(self) -> Report:
        """The decision as it is stored; :func:`tais.analyse_run` makes it again from the answers.

        Raises
        ------
        UsageError
            While the run is not finished.
        StoreError
            When the report is damaged.
        """
        check_finished(self.run_dir)
        path = self._run.report
        try:
            return Report.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise damaged_report(str(path)) from error

    def evidence(self) -> ScreenEvidence:
        """Return what the decision reads, made again from the answers; :func:`tais.decide` takes it.

        Raises
        ------
        StoreError
            When samples are missing or damaged.
        """
        return reexamine(self.run_dir, self.lock).evidence

    def items(self) -> pd.DataFrame:
        """Return what every arm was asked, in the order asked.

        Returns
        -------
        DataFrame
            One row per item: `battery`, `item_id`, `cluster`, `prompt` (one text; each turn with its role
            where there are several), `expect` (what the scorer compares with), `chat` (whether the model's
            chat template is applied).
        """
        asked = _read(self._run.items, _ASKED)
        turns, expect = asked.column("messages").to_pylist(), asked.column("expect").to_pylist()
        frame = _pandas(asked.drop_columns(["messages", "expect"]))
        frame.insert(3, "prompt", _strings(_prompt(text) for text in turns))
        # Few distinct expectations stand for many items.
        known = {text: json.loads(text) for text in set(expect)}
        frame.insert(4, "expect", _objects(known[text] for text in expect))
        return frame

    def samples(self, arm: str | None = None) -> pd.DataFrame:
        """Return the answers that are stored; those of an unfinished run, too.

        Parameters
        ----------
        arm
            One arm; None for all.

        Returns
        -------
        DataFrame
            One row per answer: `arm`, `battery`, `item_id`, `repeat`, `text` (lone surrogates as ``?``),
            `finish_reason`, `tokens` (missing where the engine shows none), `seconds` (from the request's
            admission to its last token; missing where nobody measured).

        Raises
        ------
        UsageError
            When the run has no such arm.
        """
        arms = self.lock.run_arms()
        if arm is not None and arm not in arms:
            where, remedy = Place(str(self.run_dir)), f"Arms: {', '.join(arms)}"
            raise UsageError(f"no arm named {arm!r} in this run", place=where, remedy=remedy)
        chosen = arms if arm is None else [arm]
        batches = [batch for name in chosen for batch in _answers(self._run.arm(name), name)]
        return _pandas(pa.Table.from_batches(batches, _SAMPLES))

    def scores(self) -> pd.DataFrame:
        """Return what the scorers said of the answers, those that only look on included.

        Returns
        -------
        DataFrame
            One row per answer and scorer: `arm`, `battery`, `item_id`, `repeat`, `scorer`, `value` (1 is as
            expected), `invalid` (empty, cut off or garbled), `label` (what the scorer called the answer).

        Raises
        ------
        UsageError
            While the run is not finished: answers are scored when all are in.
        """
        check_finished(self.run_dir)
        paths = [self._run.scores, self._run.second_scores]
        tables = [_read(path, SCORES.names) for path in paths if path == paths[0] or path.exists()]
        return _pandas(pa.concat_tables(tables))

    def endpoints(self) -> pd.DataFrame:
        """Return what was decided, by contrast, battery, stratum and scorer.

        Returns
        -------
        DataFrame
            One row per endpoint: `reference`, `candidate`, `role`, `battery`, `stratum` (`refuse` or `answer`
            where the scorer is split by it), `scorer`, `n`, `reference_rate`, `candidate_rate`, `difference`
            (candidate minus reference), `ci_low` and `ci_high` (the 1 - 2 alpha interval), `p` (of the
            equivalence test), `h` (Cohen's), `verdict`, `scale` (of the interval: "difference", or "ratio" of
            the rates of outcomes that are not as expected).

        Raises
        ------
        UsageError
            While the run is not finished.
        """
        rows = [row for contrast in self.report.contrasts for row in _endpoints(contrast)]
        return _pandas(pa.Table.from_pylist(rows, schema=_ENDPOINTS))

    def flips(self) -> pd.DataFrame:
        """Return all answers whose score differs between the arms of a contrast; a report keeps some only.

        Returns
        -------
        DataFrame
            One row per contrast and changed item: `reference`, `candidate`, `battery`, `item_id`, `repeat`,
            `reference_label`, `candidate_label`, `first_difference` (0-based character at which the answers
            first differ; missing where their texts are equal).

        Raises
        ------
        UsageError
            While the run is not finished.
        """
        tables = [self._flips(c.reference, c.candidate) for c in self.report.contrasts]
        return _pandas(pa.concat_tables([_FLIPS.empty_table(), *tables]))

    def sweep(self) -> pd.DataFrame:
        """Return the contrasts of a sweep by the values of their settings; no rows where there is none.

        Returns
        -------
        DataFrame
            One row per combination and endpoint: one column per setting that was varied, then `endpoint`
            (``battery / scorer``, or ``battery/stratum / scorer``), `difference`, `verdict`.

        Raises
        ------
        UsageError
            While the run is not finished.
        """
        view = sweep_view(self.report)
        axes = () if view is None else view.axes
        # A setting may be called like a column of ours.
        taken = {name for name, _ in _CELLS}
        names = [f"{axis} (setting)" if axis in taken else axis for axis in axes]
        rows = [
            {
                **dict(zip(names, cell.values, strict=True)),
                "endpoint": endpoint_name(endpoint),
                "difference": endpoint.difference,
                "verdict": endpoint.verdict.value,
                "scale": endpoint.tost.scale if endpoint.tost else None,
            }
            for cell in (() if view is None else view.cells)
            for endpoint in cell.contrast.endpoints
        ]
        schema = pa.schema([*((name, _TEXT) for name in names), *_CELLS])
        return _pandas(pa.Table.from_pylist(rows, schema=schema))

    @property
    def _run(self) -> RunDir:
        return RunDir(self.run_dir)

    def _flips(self, reference: str, candidate: str) -> pa.Table:
        with _readable(self._run.scores):
            left_out = asked_otherwise(self._run, self.lock, (reference, candidate))
            both = paired_scores(self._run.scores, reference, candidate, left_out)
        flipped = flipped_scores(both).sort_by([(name, "ascending") for name in KEY])
        keys = sample_keys(flipped)
        left, right = (answer_texts(self._run.arm(arm), keys) for arm in (reference, candidate))
        columns = {
            "reference": [reference] * len(keys),
            "candidate": [candidate] * len(keys),
            **{name: flipped.column(name) for name in KEY},
            "reference_label": flipped.column("label"),
            "candidate_label": flipped.column("label_candidate"),
            "first_difference": [first_difference(left[key], right[key]) for key in keys],
        }
        return pa.table(columns, schema=_FLIPS)


def open_run(run_dir: str | Path) -> RunResult:
    """Open a run, finished or not; nothing in it is ever changed.

    Parameters
    ----------
    run_dir
        A run directory, as ``tais run`` prints it.

    Raises
    ------
    StoreError
        When this is no run directory.

    Examples
    --------
    >>> run = tais.open_run("reports/small/RUN")
    >>> run.endpoints()[["candidate", "n", "difference", "verdict"]].to_dict("records")[0]
    {'candidate': 'candidate', 'n': 120, 'difference': 0.0, 'verdict': 'pass'}
    >>> run.flips().query("candidate == 'candidate'")["item_id"].tolist()
    ['q-007', 'q-014']
    """
    result = RunResult(Path(run_dir))
    # Whether it is a run is said here, and not by the first frame.
    read_lock(result.run_dir)
    return result


def list_runs(folder: str | Path = "reports") -> pd.DataFrame:
    """Return the runs in a folder and in those below it, oldest first.

    Parameters
    ----------
    folder
        Where runs were written, ``--out`` of ``tais run``.

    Returns
    -------
    DataFrame
        One row per run: `name` (of its manifest), `run` (its id), `date` (when it started), `verdict`
        (missing where there is none yet), `contrasts` (how many), `signed` (whether a signature lies there;
        :func:`tais.verify_run` checks it), `problem` (why there is no verdict), `path`.

    Raises
    ------
    UsageError
        When there is no such folder.

    Examples
    --------
    >>> runs = tais.list_runs("reports")
    >>> runs[["name", "verdict", "contrasts", "signed"]].to_dict("records")
    [{'name': 'small', 'verdict': 'pass', 'contrasts': 3, 'signed': True}]
    """
    rows = [run._asdict() for run in listing.list_runs(Path(folder))]
    return _pandas(pa.Table.from_pylist(rows, schema=_RUNS))


def _endpoints(contrast: ContrastReport) -> Iterator[dict[str, object]]:
    for endpoint in contrast.endpoints:
        low, high = endpoint.tost.ci if endpoint.tost else (None, None)
        yield {
            "reference": contrast.reference,
            "candidate": contrast.candidate,
            "role": contrast.role.value,
            "battery": endpoint.battery,
            "stratum": endpoint.stratum,
            "scorer": endpoint.scorer,
            "n": endpoint.n,
            "reference_rate": endpoint.reference_rate,
            "candidate_rate": endpoint.candidate_rate,
            "difference": endpoint.difference,
            "ci_low": low,
            "ci_high": high,
            "p": endpoint.tost.p if endpoint.tost else None,
            "h": endpoint.cohens_h,
            "verdict": endpoint.verdict.value,
        }


def _answers(arm_dir: Path, arm: str) -> Iterator[pa.RecordBatch]:
    """Yield the answers of an arm; of their tokens, only how many there are."""
    stored = ("battery", "item_id", "repeat", "text", "finish_reason", "token_ids", "seconds")
    for batch in read_batches(arm_dir, stored):
        columns = {name: batch.column(name) for name in stored}
        columns["arm"] = pa.array([arm] * len(batch), _TEXT)
        columns["tokens"] = pc.list_value_length(columns["token_ids"])
        yield pa.RecordBatch.from_arrays([columns[name] for name in _SAMPLES.names], schema=_SAMPLES)


def _read(path: Path, columns: Sequence[str]) -> pa.Table:
    with _readable(path):
        return pq.read_table(path, columns=list(columns))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise StoreError where a table is missing or damaged."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = str(error).splitlines()[0]
        raise StoreError(
            f"this file cannot be read ({said})", place=Place(str(path)), remedy=_BACKUP
        ) from error


def _prompt(messages: str) -> str:
    turns = tuple(Message(*turn) for turn in json.loads(messages))
    return prompt_text(StoredItem("", "", "", turns, None))


def _html(text: str) -> str:
    return escape(visible(text))


def _pandas(table: pa.Table) -> pd.DataFrame:
    # Heavy.
    import pandas as pd

    # Counts stay whole numbers where some are missing.
    whole = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    return table.to_pandas(types_mapper=whole.get)


def _strings(values: Iterable[str]) -> pd.Series[str]:
    import pandas as pd

    # A frame of text holds Unicode only.
    return pd.Series([text.encode("utf-8", "replace").decode() for text in values], dtype="str")


def _objects(values: Iterable[object]) -> pd.Series[object]:
    import pandas as pd

    return pd.Series(list(values), dtype="object")
