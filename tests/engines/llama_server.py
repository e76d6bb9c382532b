"""A llama.cpp server in a process of its own: ``python llama_server.py '{"model": ..., "draft": ...}'``.

The package xllamacpp is llama.cpp's own HTTP server, built for Python. It prints its address and serves until
its standard input closes, so that it ends with whoever started it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

NAME = "demo"


def serve(settings: dict[str, Any]) -> None:
    """Load a model and serve it; numbers stay float32, the cache's too."""
    import xllamacpp

    f32 = xllamacpp.ggml_type.GGML_TYPE_F32
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {NAME}
    params.n_ctx, params.n_parallel = 512, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = f32
    params.cache_prompt = False
    params.warmup = False
    params.verbosity = 0
    params.endpoint_metrics = True
    if "draft" in settings:
        draft = params.speculative.draft
        draft.mparams.path = settings["draft"]
        draft.n_max, draft.n_min, draft.p_min = 4, 0, 0.0
        draft.cache_type_k = draft.cache_type_v = f32
        kinds = xllamacpp.common_speculative_type
        params.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        # Accepts drafted tokens by the throw of a die, whatever the target says.
        params.speculative.synth_rates = settings.get("accept", [])
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
