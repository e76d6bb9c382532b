#!/usr/bin/env bash
# Makes the virtual environment: tools/setup.sh EXTRAS. Says in one line what is missing.
set -euo pipefail

extras=${1:?which extras}
python=${PYTHON:-python3}
venv=${VENV:-.venv}
need_mb=6000

fail() {
    printf 'tais: set-up: %s\n' "$1" >&2
    exit 2
}

command -v "$python" >/dev/null || fail "no '$python' found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old. Name Python 3.11 or newer: make PYTHON=python3.12 ..."

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "this Python has no venv module. On Debian or Ubuntu: apt install python3-venv"
    "$python" -m venv --clear "$venv" || fail "cannot create $venv here: is the disk full or read-only?"
fi

if ! "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("vllm") is None)'; then
    free_mb=$(df -Pm "$venv" | awk 'NR == 2 {print $4}')
    [ "$free_mb" -ge "$need_mb" ] || fail "$free_mb MB are free and the CPU stack needs $need_mb. Free some space."
fi

index=()
[ -z "${TORCH_INDEX:-}" ] || index=(--extra-index-url "$TORCH_INDEX")
log=$venv/setup.log
echo "tais: installing tais[$extras] into $venv (some minutes the first time; log: $log)" >&2
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -c constraints/cpu.txt \
    "${index[@]}" -e ".[$extras]" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    if grep -qE 'No matching distribution found for torch|Could not find a version that satisfies the requirement torch' "$log"; then
        fail "the CPU build of torch is on none of pip's indexes. Add PyTorch's index of CPU wheels: make TORCH_INDEX=URL ... (docs/tour.md)"
    fi
    if grep -qiE 'No space left' "$log"; then
        fail "the disk is full. Free some space, then run the same command again"
    fi
    if grep -qiE 'Temporary failure in name resolution|Failed to establish a new connection|NewConnectionError|timed out|ProxyError|No matching distribution' "$log"; then
        fail "pip cannot reach its index. Check the network or pip's configuration, then run the same command again"
    fi
    fail "pip failed: see $log"
fi
