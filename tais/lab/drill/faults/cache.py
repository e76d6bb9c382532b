"""Faults of the key-value cache and of the batch: a request reads what is not its own, or no longer so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tais.lab.drill.faults.base import Check, Fault, Function, Parameter, bound

if TYPE_CHECKING:
    import torch
    from vllm.v1.spec_decode.metadata import SpecDecodeMetadata

__all__ = ["CrossSequence", "ExactLength", "KvNotRolledBack", "StalePrefixHit"]

_RUNNER = "vllm.v1.worker.gpu_model_runner:GPUModelRunner"
_SEEN: tuple[Check, ...] = ("identity", "audit")
_ALL: tuple[Check, ...] = (*_SEEN, "endpoint")


class KvNotRolledBack(Fault):
    """After a rejection the cache keeps the keys and values of the rejected tokens.

    Stands for slots that are taken to be written already, the class of vLLM's corrupted caches after partial
    acceptance (issues 39273, 43559). Hooks ``GPUModelRunner._prepare_inputs``: a request that was rolled
    back since its last step writes nothing into the slots that the rejected tokens hold.
    """

    name = "kv_not_rolled_back"
    severity = "gross"
    checks = _ALL
    hook = f"{_RUNNER}._prepare_inputs"
    arguments = ("scheduler_output", "num_scheduled_tokens")
    effect = "tokens"

    def wrap(self, original: Function) -> Function:
        """See the class."""
        # Of each request: tokens computed before its last step, and written by its end.
        written: dict[str, tuple[int, int]] = {}

        def faulty(*args: object, **kwargs: object) -> object:
            found = original(*args, **kwargs)
            call = bound(original, args, kwargs)
            batch, counts = call["self"].input_batch, call["num_scheduled_tokens"]
            begins = 0
            for row, request in enumerate(batch.req_ids):
                done, count = int(batch.num_computed_tokens_cpu[row]), int(counts[row])
                before, end = written.get(request, (0, 0))
                # Where it was preempted, it starts again with other blocks.
                if before < done < end:
                    stale = min(end - done, count)
                    for table in batch.block_table.block_tables:
                        table.slot_mapping.gpu[begins : begins + stale] = -1
                    self.act(stale)
                written[request] = done, done + count
                begins += count
            return found

        return faulty


class CrossSequence(Fault):
    """Every so many steps, two sequences of a batch get each other's logits.

    Stands for an index that is right for one sequence and wrong in a batch: vLLM's garbage under concurrency
    (issues 46088, 46669). Hooks ``GPUModelRunner._sample``. At a concurrency of 1 it never acts.
    """

    name = "cross_sequence"
    severity = "gross"
    checks = _ALL
    hook = f"{_RUNNER}._sample"
    arguments = ("logits", "spec_decode_metadata")
    effect = "tokens"
    needs_speculation = False
    parameters: ClassVar[Mapping[str, Parameter]] = {"every": Parameter(4, 1, 10_000)}

    def wrap(self, original: Function) -> Function:
        """See the class."""
        steps = [0]

        def faulty(*args: object, **kwargs: object) -> object:
            call = bound(original, args, kwargs)
            logits, metadata = call["logits"], call["spec_decode_metadata"]
            steps[0] += 1
            if logits is not None and steps[0] % self.values["every"] == 0:
                call["logits"] = self._swapped(logits, metadata)
            return original(**call)

        return faulty

    def _swapped(self, logits: torch.Tensor, metadata: SpecDecodeMetadata | None) -> torch.Tensor:
        counts = [1] * len(logits) if metadata is None else [n + 1 for n in metadata.num_draft_tokens]
        starts = [sum(counts[:row]) for row in range(len(counts))]
        order = list(range(len(logits)))
        for row in range(0, len(counts) - 1, 2):
            if counts[row] == counts[row + 1]:
                a, b, n = starts[row], starts[row + 1], counts[row]
                order[a : a + n], order[b : b + n] = order[b : b + n], order[a : a + n]
                self.act()
        return logits[order].contiguous()


class StalePrefixHit(Fault):
    """A block that is not in the prefix cache is served from it: another prompt's.

    Stands for a block hash that leaves out something that the block depends on, or a block that is freed and
    still listed (vLLM issue 43559). Hooks ``vllm.v1.core.block_pool.BlockPool.get_cached_block``.
    """

    name = "stale_prefix_hit"
    severity = "gross"
    checks = _ALL
    hook = "vllm.v1.core.block_pool:BlockPool.get_cached_block"
    arguments = ("block_hash", "kv_cache_group_ids")
    effect = "tokens"
    needs_speculation = False
    parameters: ClassVar[Mapping[str, Parameter]] = {"every": Parameter(2, 1, 10_000)}

    def wrap(self, original: Function) -> Function:
        """See the class."""
        misses = [0]

        def faulty(*args: object, **kwargs: object) -> object:
            found = original(*args, **kwargs)
            call = bound(original, args, kwargs)
            if found is not None or len(call["kv_cache_group_ids"]) != 1:
                return found
            misses[0] += 1
            if misses[0] % self.values["every"]:
                return None
            cached = [block for block in call["self"].blocks if block.block_hash is not None]
            if not cached:
                return None
            self.act()
            return [cached[misses[0] % len(cached)]]

        return faulty


class ExactLength(Fault):
    """The first token after a prompt of an exact length is read one position too early.

    Stands for a border case of batching: a prompt that fills its blocks, or has the length of a
    verification step and is taken for one (vLLM issue 53051). Hooks ``GPUModelRunner._prepare_inputs`` and
    moves the row of logits of prompts whose length is a multiple of ``multiple``.
    """

    name = "exact_length"
    severity = "slight"
    checks = _SEEN
    hook = f"{_RUNNER}._prepare_inputs"
    arguments = ("scheduler_output", "num_scheduled_tokens")
    effect = "tokens"
    needs_speculation = False
    parameters: ClassVar[Mapping[str, Parameter]] = {"multiple": Parameter(8, 1, 1_000_000)}

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            indices, metadata, most = original(*args, **kwargs)
            call = bound(original, args, kwargs)
            batch, counts = call["self"].input_batch, call["num_scheduled_tokens"]
            indices = indices.clone()
            for row in range(batch.num_reqs):
                prompt, count = int(batch.num_prompt_tokens[row]), int(counts[row])
                done = int(batch.num_computed_tokens_cpu[row])
                if done + count == prompt and count > 1 and prompt % self.values["multiple"] == 0:
                    last = row if metadata is None else int(metadata.cu_num_sampled_tokens[row]) - 1
                    indices[last] -= 1
                    self.act()
            if metadata is not None:
                metadata.logits_indices = indices
            return indices, metadata, most

        return faulty
