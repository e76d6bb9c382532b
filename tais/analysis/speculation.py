"""Did an arm get the speculation that it asked for: the request against what the engine resolved to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from tais.rundir.engine_record import UNKNOWN, EngineRecord
from tais.verdict.evidence import Finding

__all__ = ["speculation_findings", "speculation_modes"]

# vLLM resolves every multi-token-prediction name ("deepseek_mtp", "qwen3_next_mtp" ...) to one.
_MTP = "mtp"
# Paths are made absolute by the engine, and a draft's own settings may be filled in.
_NOT_COMPARED = {"model", "revision", "quantization", "method", "selector"}


def speculation_modes(
    requested: Mapping[str, JsonValue] | None, engine: EngineRecord
) -> tuple[str | None, str | None]:
    """Return the method asked for and the method that the engine runs.

    Parameters
    ----------
    requested
        The arm's ``speculative_config``; None where it asked for none.
    engine
        The arm's engine.json.

    Returns
    -------
    (str or None, str or None)
        Requested and resolved; "unknown" where the engine does not say.
    """
    found = engine.speculation
    resolved = _text(found.get("method", UNKNOWN)) if isinstance(found, dict) else found
    if requested is None:
        return None, None if resolved == UNKNOWN else resolved
    # Without a method vLLM infers one from the draft: what it infers is what was asked for.
    method = _text(requested.get("method")) or resolved or UNKNOWN
    if resolved == _MTP and method.endswith(_MTP):
        method = _MTP
    return method, resolved


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def speculation_findings(
    requested: Mapping[str, JsonValue] | None, engine: EngineRecord
) -> Iterator[Finding]:
    """Yield a finding for each option that the engine resolved to another value than was asked for.

    An option that an engine version ignores made the published study compare an arm with itself.
    """
    resolved = engine.speculation
    if requested is None or resolved is None or isinstance(resolved, str):
        return
    for key, asked in requested.items():
        if key in _NOT_COMPARED or asked is None:
            continue
        got = resolved.get(key, "(no such option)")
        if got != asked:
            yield _ignored(key, asked, got)
    effective = engine.rejection_sample_method
    asked = requested.get("rejection_sample_method")
    if asked is not None and effective not in (None, asked):
        yield _ignored("rejection_sample_method", asked, effective)


def _ignored(key: str, asked: JsonValue, got: JsonValue) -> Finding:
    return Finding(
        code="speculation_option_ignored",
        message=f"the engine was asked for {key}={asked!r} and runs {got!r}",
        values={"option": key, "requested": asked, "resolved": got},
        blocks_pass=True,
    )
