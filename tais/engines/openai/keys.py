"""API keys: which may be sent where, and what can be one. Nothing here shows a key."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tais.engines.base import EngineRefusal

__all__ = ["HOSTS", "check_key", "may_send"]

HOSTS = "TAIS_API_HOSTS"
"""Variable that binds keys to hosts: ``NAME=host,host; NAME=host``. Set, it allows nothing else."""

_KNOWN = {"OPENAI_API_KEY": {"api.openai.com"}}
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def check_key(key: str, variable: str) -> str:
    """Return a key that can be sent.

    Raises
    ------
    EngineRefusal
        When it holds what no key holds. A client would show it in its own complaint.
    """
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise EngineRefusal(
            f"{variable} holds a line break, a blank at an end or a character that is not ASCII: "
            "that is no API key"
        )
    return key


def may_send(variable: str, address: str, environment: Mapping[str, str]) -> bool:
    """Return whether the key in a variable may go to a server.

    Parameters
    ----------
    variable
        Name of the variable that holds the key.
    address
        Of the server.
    environment
        Holds :data:`HOSTS`, perhaps.

    Notes
    -----
    A manifest names both variable and server, and may come with the change under test. So a key goes to
    this machine, to the host that it is known to be for, and where the user says, who owns the key.
    """
    host = (urlsplit(address).hostname or "").lower()
    told = environment.get(HOSTS)
    if told is None:
        return host in _LOCAL | _KNOWN.get(variable, set())
    bound = (entry.partition("=") for entry in told.split(";"))
    return any(name.strip() == variable and host in _listed(hosts) for name, _, hosts in bound)


def _listed(hosts: str) -> set[str]:
    return {host.strip().lower() for host in hosts.split(",") if host.strip()}
