"""What an engine gets of the environment: what engines are known to read, and what was named.

An engine runs foreign code (a model's own, a plug-in, a server), and what is in its environment it can send
anywhere. So it gets variables by an allowed beginning, and no secret of TAIS whoever names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tais.engines.openai.keys import HOSTS, may_send
from tais.errors import Place, UsageError
from tais.manifest.engine_options import OpenaiOptions, read_options
from tais.manifest.model import Arm

__all__ = [
    "SECRETS",
    "check_named",
    "for_installers",
    "held_back",
    "named_by",
    "passed_on",
    "without_secrets",
]

SECRETS = ("TAIS_SIGNING_KEY", "TAIS_KEY_PASSPHRASE")
"""What signs is never in the environment of a process that does not."""

_PASSED = re.compile(
    # Places, user, language and time.
    r"PATH|HOME|USER|LOGNAME|SHELL|TZ|LANG|LANGUAGE|TMPDIR|TEMP|TMP|VIRTUAL_ENV|(LC|XDG|CONDA)_.+|"
    # The shell's own, of no use to anybody.
    r"PWD|OLDPWD|SHLVL|_|TERM|COLORTERM|COLUMNS|LINES|LS_COLORS|NO_COLOR|FORCE_COLOR|HOSTNAME|DEBIAN_FRONTEND|"
    # Interpreter, loader, compilers that engines call.
    r"PYTHON.*|LD_.+|LIBRARY_PATH|CPATH|C_INCLUDE_PATH|CC|CXX|CFLAGS|CXXFLAGS|"
    # Devices, threads and networks of devices.
    r"(CUDA|NVIDIA|HIP|HSA|ROCM|ROCR|XPU|ZE|NCCL|RCCL|GLOO|UCX|FI|OMP|KMP|GOMP|MKL|OPENBLAS|BLIS|NVPL|MASTER)_.+|"
    # Engines and their libraries.
    r"(HF|VLLM|TORCH|TORCHINDUCTOR|PYTORCH|XLA|TRITON|FLASHINFER|TOKENIZERS|TRANSFORMERS|SAFETENSORS|RAY)_.+|"
    r"HUGGINGFACE_HUB_CACHE|TORCH|DO_NOT_TRACK|TAIS_FAKE_.+|"
    # The way to the network.
    r"(HTTP|HTTPS|ALL|NO|FTP)_PROXY|(SSL)_.+|(REQUESTS|CURL)_CA_BUNDLE",
    re.IGNORECASE,
)
# Own settings of installers, and of what they fetch and build with.
_INSTALLERS = re.compile(r"(UV|PIP|GIT|SSH_AUTH|CARGO|RUSTUP|CMAKE)_.+|NETRC|MAX_JOBS")
_NOT_INSTALLERS = re.compile(
    r"TAIS_|PYTHON|VIRTUAL_ENV|HF_(HUB_)?TOKEN|HUGGING_FACE_HUB_TOKEN|UV_PUBLISH_|GIT_.*TOKEN", re.IGNORECASE
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def passed_on(own: Mapping[str, str], named: Collection[str] = ()) -> dict[str, str]:
    """Return what of an environment an engine gets.

    Parameters
    ----------
    own
        The environment.
    named
        Variables that manifest or user name beside what is allowed anyway.
    """
    kept = {name: value for name, value in own.items() if _PASSED.fullmatch(name) or name in named}
    for name in [name for name in kept if _of_tais(name)]:
        del kept[name]
    if "PYTHONPATH" in kept:
        # An empty or relative entry is the working directory, where anybody's ctypes.py may lie.
        kept["PYTHONPATH"] = os.pathsep.join(
            p for p in kept["PYTHONPATH"].split(os.pathsep) if Path(p).is_absolute()
        )
    return {**kept, "PYTHONSAFEPATH": "1"}


def for_installers(own: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment an installer gets: what engines get, and its own settings.

    It runs code of packages, so it gets neither what signs nor keys of servers, nor the token of a hub.
    """
    kept = passed_on(own, [name for name in own if _INSTALLERS.fullmatch(name)])
    return {name: value for name, value in kept.items() if not _NOT_INSTALLERS.match(name)}


def held_back(own: Mapping[str, str], named: Collection[str] = ()) -> list[str]:
    """Return the names of what an engine does not get, sorted, three or more of one beginning as one.

    Options of TAIS are not among them.
    """
    kept = passed_on(own, named)
    families: dict[str, list[str]] = {}
    for name in sorted(name for name in own if name not in kept and not _of_tais(name)):
        families.setdefault(name.partition("_")[0], []).append(name)
    return [
        said
        for first, names in families.items()
        for said in ([f"{first}_* ({len(names)})"] if len(names) > 2 else names)
    ]


def named_by(arms: Iterable[Arm], own: Mapping[str, str]) -> set[str]:
    """Return the variables that arms name: where the keys of their servers stand.

    Raises
    ------
    UsageError
        When the key in one would go to a host that it is not for.
    """
    named = set()
    for arm in arms:
        options = read_options(arm) if arm.engine == "openai" else None
        if not isinstance(options, OpenaiOptions) or options.base_url is None:
            continue
        name = options.api_key_env
        if own.get(name) and not may_send(name, options.base_url, own):
            host = urlsplit(options.base_url).hostname
            raise UsageError(
                f"the key in {name} is not known to be for {host}",
                place=Place(key=f"arm {arm.name!r}"),
                remedy=f"Unset it, or bind it: {HOSTS}='{name}={host}'",
            )
        named.add(name)
    return named


def check_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of variables that a user wants engines to have.

    Raises
    ------
    UsageError
        For what is no name, or one of TAIS's own.
    """
    found = tuple(name for given in names for name in re.split(r"[\s,]+", given) if name)
    for name in found:
        if not _NAME.fullmatch(name):
            # It may be NAME=VALUE, and the value a secret.
            what, remedy = "--pass-env takes names of variables", "Write --pass-env NAME, without a value"
            raise UsageError(what, remedy=remedy)
        if _of_tais(name):
            raise UsageError(f"{name} is for TAIS alone, and no engine gets it", remedy="Leave it out")
    return found


@contextmanager
def without_secrets() -> Iterator[None]:
    """Take what signs out of this process's environment, for processes that start meanwhile."""
    taken = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _of_tais(name: str) -> bool:
    return name.upper().startswith("TAIS_") and not name.startswith("TAIS_FAKE_")
