"""A causal language model that can be asked for its hidden states at any depth.

Layers are counted as transformers counts them: 0 is what enters the first block, l what enters block l (so
what block l - 1 gave), and the last one, `depth`, is the model's output after its final norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tais.errors import EngineError, TaisError, UsageError
from tais.lab.packages import torch, transformers
from tais.lab.pretrained import load_pretrained

__all__ = ["DTYPES", "LeakModel", "failing", "load_model", "load_tokenizer"]

DTYPES = ("auto", "float32", "bfloat16", "float16")


class _Reached(Exception):
    """Carries the states out of a forward pass that need not go deeper."""

    def __init__(self, states: torch.Tensor) -> None:
        self.states = states


class LeakModel:
    """A loaded model, its blocks found, ready to be asked.

    Parameters
    ----------
    model
        A causal language model of transformers.
    name
        As reports show it.

    Raises
    ------
    UsageError
        When it is no decoder whose blocks can be found.
    """

    def __init__(self, model: transformers.PreTrainedModel, name: str) -> None:
        self.model, self.name = model.eval(), name
        config = model.config.get_text_config(decoder=True)
        if getattr(model.config, "is_encoder_decoder", False):
            raise UsageError(f"{name} is an encoder-decoder", remedy="The attack reads causal decoders only")
        self.depth = int(config.num_hidden_layers)
        self.width = int(config.hidden_size)
        self.positions: int | None = getattr(config, "max_position_embeddings", None)
        self.base = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
        self.blocks = _blocks(self.base, self.depth, name)
        embeddings = model.get_input_embeddings().weight
        self.vocabulary, self.device = int(embeddings.shape[0]), embeddings.device
        self.dtype = model.dtype

    @property
    def dtype_name(self) -> str:
        """Such as ``float32``."""
        return str(self.dtype).removeprefix("torch.")

    def check_layer(self, layer: int) -> None:
        """Raise UsageError unless `layer` is one of this model's."""
        if not 0 <= layer <= self.depth:
            remedy = f"Layers are 0 (what enters the first block) to {self.depth} (after the final norm)"
            raise UsageError(f"{self.name} has no layer {layer}", remedy=remedy)

    def check_length(self, length: int, where: str) -> None:
        """Raise UsageError where a prompt is longer than the model's positions."""
        if self.positions is not None and length > self.positions:
            what = f"{where} has {length} tokens, {self.name} takes {self.positions}"
            raise UsageError(what, remedy="Shorten it")

    def ids(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return tokens as a tensor of shape (1, n) on the model's device."""
        return torch.tensor([list(tokens)], dtype=torch.long, device=self.device)

    def states(self, tokens: Sequence[int], layers: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return the hidden states of one prompt at some layers, each of shape (n, width), as computed.

        One prompt at a time: padding on either side would change what some models compute.
        """
        with torch.inference_mode(), failing(self.name):
            out = self.base(self.ids(tokens), use_cache=False, output_hidden_states=True)
        return {layer: out.hidden_states[layer][0] for layer in layers}

    def deepen(self, ids: torch.Tensor, layer: int, **options: object) -> torch.Tensor:
        """Return the states at `layer` of token ids, shape (b, n, width); deeper blocks do not run."""
        if layer == self.depth:
            return self.base(ids, **options).last_hidden_state
        handle = self.blocks[layer].register_forward_pre_hook(_stop, with_kwargs=True)
        try:
            self.base(ids, **options)
        except _Reached as reached:
            return reached.states
        finally:
            handle.remove()
        raise UsageError(f"block {layer} of {self.name} did not run", remedy="Take another layer")

    @contextmanager
    def perturbed(self, layer: int, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
        """Let `change` (states to states) act on everything that passes `layer` while the context lasts."""

        def before(
            module: torch.nn.Module, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]
        ) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
            if args:
                return (change(args[0]), *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

        at_end = layer == self.depth
        module = self.model.get_output_embeddings() if at_end else self.blocks[layer]
        handle = module.register_forward_pre_hook(before, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def _stop(module: torch.nn.Module, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]) -> None:
    raise _Reached(args[0] if args else kwargs["hidden_states"])


def _blocks(base: torch.nn.Module, depth: int, name: str) -> torch.nn.ModuleList:
    """Return the decoder blocks: of the lists with one module per layer, the one with most weights."""
    lists = [m for m in base.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    if not lists:
        raise UsageError(f"the blocks of {name} cannot be found", remedy="Take a decoder of transformers")
    return max(lists, key=lambda blocks: sum(p.numel() for p in blocks.parameters()))


@contextmanager
def failing(name: str) -> Iterator[None]:
    """Turn a failure of the model itself into one line."""
    try:
        yield
    except TaisError:
        raise
    except torch.cuda.OutOfMemoryError as error:
        raise EngineError(f"{name}: out of device memory", remedy="Lower --batch") from error
    except (RuntimeError, ValueError, IndexError, NotImplementedError, AttributeError, TypeError) as error:
        lines = str(error).splitlines() or [""]
        raise EngineError(f"{name} failed: {type(error).__name__}: {lines[0]}") from error


def load_model(name: str, dtype: str = "auto", device: str | None = None) -> LeakModel:
    """Load the weights of a causal language model.

    Parameters
    ----------
    name
        Local directory, or repository on the hub.
    dtype
        One of `DTYPES`; ``auto`` takes what the weights are stored in.
    device
        Such as ``cuda:0``; a GPU where there is one.

    Raises
    ------
    UsageError
        When it is not there or no causal language model.
    """
    if dtype not in DTYPES:
        raise UsageError(f"no dtype named {dtype!r}", remedy=f"Known: {', '.join(DTYPES)}")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    wanted = "auto" if dtype == "auto" else getattr(torch, dtype)
    load = transformers.AutoModelForCausalLM.from_pretrained
    settings = {"use_safetensors": True, "trust_remote_code": False, "dtype": wanted}
    model = load_pretrained(name, "model", lambda: load(name, **settings))
    try:
        return LeakModel(model.to(chosen), name)
    except RuntimeError as error:
        lines = str(error).splitlines() or [""]
        raise UsageError(f"{name} does not go to device {chosen!r}: {lines[0]}") from error


def load_tokenizer(name: str) -> transformers.PreTrainedTokenizerBase:
    """Load a tokenizer; errors as for :func:`load_model`."""
    load = transformers.AutoTokenizer.from_pretrained
    return load_pretrained(name, "tokenizer", lambda: load(name, trust_remote_code=False))
