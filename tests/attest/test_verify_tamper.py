"""Tampering, generated: whatever byte, file or bundle of a signed run is changed, it is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tais.attest import verify_run
from tais.attest.bundle import open_bundle
from tais.errors import VerificationError
from tais.rundir.layout import BUNDLES, LOCK_BUNDLE
from tests.attest.runs import SIGNED, copy_run, trusted_key

KEY = trusted_key()
FILES = sorted(path.relative_to(SIGNED).as_posix() for path in SIGNED.rglob("*") if path.is_file())
Mutation = Callable[[Path], None]


def flip(name: str, position: int, mask: int) -> Mutation:
    """Flip bits of one byte of a file."""

    def mutate(run_dir: Path) -> None:
        data = bytearray((run_dir / name).read_bytes())
        data[position] ^= mask
        (run_dir / name).write_bytes(data)

    return mutate


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Mutation:
    """Write other bytes to a file."""

    def mutate(run_dir: Path) -> None:
        (run_dir / name).write_bytes(change((run_dir / name).read_bytes()))

    return mutate


def move(name: str, other: str) -> Mutation:
    """Put a file under another name."""

    def mutate(run_dir: Path) -> None:
        (run_dir / other).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / name).rename(run_dir / other)

    return mutate


def duplicate(name: str, other: str) -> Mutation:
    """Copy a file to a name that is free or taken."""

    def mutate(run_dir: Path) -> None:
        (run_dir / other).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run_dir / name, run_dir / other)

    return mutate


def remove(name: str) -> Mutation:
    return lambda run_dir: (run_dir / name).unlink()


def mutations() -> Iterator[tuple[str, Mutation]]:
    """Every file in every way; bundles at more places, since every byte of them is parsed."""
    for name in FILES:
        data = (SIGNED / name).read_bytes()
        for step in range(30 if name in BUNDLES else 4) if data else ():
            position = step * (len(data) - 1) // (29 if name in BUNDLES else 3)
            yield f"flip-{name}-{position}", flip(name, position, 1 << step % 8)
        yield f"remove-{name}", remove(name)
        yield f"append-{name}", rewrite(name, lambda data: data + b"\n")
        if data:
            yield f"truncate-{name}", rewrite(name, lambda data: data[:-1])
            yield f"empty-{name}", rewrite(name, lambda data: b"")
            yield f"space-in-front-{name}", rewrite(name, lambda data: b" " + data)
            yield f"capitals-{name}", rewrite(name, bytes.swapcase)
        yield f"copy-beside-{name}", duplicate(name, f"{name}.bak")
        yield f"move-{name}", move(name, f"logs/moved/{Path(name).name}")
    yield from swaps()


def swaps() -> Iterator[tuple[str, Mutation]]:
    """One file in the place of another."""
    parts = [name for name in FILES if name.endswith("part-00000.parquet")]
    engines = [name for name in FILES if name.endswith("engine.json")]
    for group in (parts, engines, sorted(BUNDLES)):
        for name in group:
            for other in group:
                if (SIGNED / name).read_bytes() != (SIGNED / other).read_bytes():
                    yield f"{name}-over-{other}", duplicate(name, other)


ALL = list(mutations())


def test_there_are_at_least_two_hundred() -> None:
    assert len({name for name, _ in ALL}) == len(ALL) >= 200


ORIGINAL = {name: (SIGNED / name).read_bytes() for name in FILES}


def restore(run_dir: Path) -> None:
    """Undo a mutation; a new copy for each would take ten times as long."""
    for path in sorted(run_dir.rglob("*"), reverse=True):
        name = path.relative_to(run_dir).as_posix()
        if path.is_file() and name not in ORIGINAL:
            path.unlink()
        elif path.is_dir() and not (SIGNED / name).is_dir():
            path.rmdir()
    for name, data in ORIGINAL.items():
        path = run_dir / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_run(tmp_path_factory.mktemp("tampered"))


@pytest.fixture
def run_dir(copy: Path) -> Iterator[Path]:
    yield copy
    restore(copy)


@pytest.mark.parametrize("mutation", [pytest.param(change, id=name) for name, change in ALL])
def test_tampering_is_refused(mutation: Mutation, run_dir: Path) -> None:
    mutation(run_dir)
    with pytest.raises(VerificationError):
        verify_run(run_dir, [KEY])


def test_a_restored_copy_is_authentic(run_dir: Path) -> None:
    # Else the tests above would pass for the wrong reason.
    assert verify_run(run_dir, [KEY]).report.name == "small"


def test_no_byte_of_a_bundle_can_change_unseen() -> None:
    data = (SIGNED / LOCK_BUNDLE).read_bytes()
    for position in range(len(data)):
        for mask in (0x01, 0x20):
            changed = bytearray(data)
            changed[position] ^= mask
            with pytest.raises(VerificationError):
                open_bundle(bytes(changed), [KEY], "bundle")


def test_no_byte_of_a_bundle_can_be_left_out_or_doubled() -> None:
    data = (SIGNED / LOCK_BUNDLE).read_bytes()
    for position in range(len(data)):
        for changed in (
            data[:position] + data[position + 1 :],
            data[:position] + data[position : position + 1] + data[position:],
        ):
            # Of two equal neighbours, which one was taken or doubled makes no difference to the bytes.
            if changed != data:
                with pytest.raises(VerificationError):
                    open_bundle(changed, [KEY], "bundle")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=400))
def test_anything_but_a_bundle_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        open_bundle(data, [KEY], "bundle")
    assert "\n" not in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(value=_JSON, where=st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope", "other"]))
def test_any_other_value_in_a_bundle_is_refused(value: object, where: str) -> None:
    bundle = json.loads((SIGNED / LOCK_BUNDLE).read_bytes())
    bundle[where] = value
    with pytest.raises(VerificationError):
        open_bundle(json.dumps(bundle, indent=2).encode() + b"\n", [KEY], "bundle")


@settings(max_examples=60, deadline=None)
@given(value=_JSON, where=st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]))
def test_any_other_value_in_an_envelope_is_refused(value: object, where: str) -> None:
    bundle = json.loads((SIGNED / LOCK_BUNDLE).read_bytes())
    envelope = bundle["dsseEnvelope"]
    (envelope if where in envelope else envelope["signatures"][0])[where] = value
    with pytest.raises(VerificationError):
        open_bundle(json.dumps(bundle, indent=2).encode() + b"\n", [KEY], "bundle")
