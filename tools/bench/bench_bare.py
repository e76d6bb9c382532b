"""One vLLM arm without TAIS: load, generate the same prompts with the same settings, print the times.

Reads a JSON object from standard input: ``arguments`` (of ``LLM``), ``prompts`` (texts) and ``max_tokens``.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Run one arm."""
    begun = time.monotonic()
    job = json.load(sys.stdin)
    from vllm import LLM, SamplingParams

    imported = time.monotonic()
    llm = LLM(**job["arguments"])
    loaded = time.monotonic()
    tokenizer = llm.get_tokenizer()
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        for text in job["prompts"]
    ]
    # The same evidence as TAIS keeps: two log-probabilities per token.
    parameters = SamplingParams(temperature=0, max_tokens=job["max_tokens"], logprobs=2, flat_logprobs=True)
    outputs = llm.generate([{"prompt_token_ids": ids} for ids in prompts], parameters, use_tqdm=False)
    done = time.monotonic()
    times = {"import": imported - begun, "load": loaded - imported, "generate": done - loaded}
    print(json.dumps({**times, "tokens": sum(len(output.outputs[0].token_ids) for output in outputs)}))


if __name__ == "__main__":
    main()
