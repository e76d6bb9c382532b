"""Faults on the way out: tokens are lost, or right tokens become wrong text."""

from __future__ import annotations

from tais.lab.drill.faults.base import Check, Fault, Function, bound

__all__ = ["Detokenisation", "DroppedLastToken", "StopCut"]

_DETOKENIZER = "vllm.v1.engine.detokenizer"
_SEEN: tuple[Check, ...] = ("identity", "audit")


class DroppedLastToken(Fault):
    """Where an answer ends inside a step of several tokens, the last of them is lost.

    Stands for an end that is noticed after the count of new tokens was taken. Hooks
    ``vllm.v1.core.sched.scheduler.Scheduler._update_request_with_output``. With the end token gone, vLLM's
    detokeniser takes the token before it for the end and leaves it out of the text.
    """

    name = "dropped_last_token"
    severity = "slight"
    checks = _SEEN
    hook = "vllm.v1.core.sched.scheduler:Scheduler._update_request_with_output"
    arguments = ("request", "new_token_ids")
    effect = "tokens"

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            tokens, stopped = original(*args, **kwargs)
            if stopped and len(tokens) > 1:
                tokens = tokens[:-1]
                self.act()
            return tokens, stopped

        return faulty


class StopCut(Fault):
    """An answer that ends at a stop string is cut where the step began, not where the string does.

    Stands for a cut that assumes one token per step: with several, text before the stop string goes too.
    Hooks ``vllm.v1.engine.detokenizer.check_stop_strings``.
    """

    name = "stop_cut"
    severity = "slight"
    checks = _SEEN
    hook = f"{_DETOKENIZER}:check_stop_strings"
    arguments = ("output_text", "new_char_count")
    effect = "text"
    needs_stop = True

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            found = original(*args, **kwargs)
            if found is None:
                return None
            call = bound(original, args, kwargs)
            begins = len(call["output_text"]) - call["new_char_count"]
            stop, cut = found
            if 0 <= begins < cut:
                self.act()
                return stop, begins
            return found

        return faulty


class Detokenisation(Fault):
    """The first blank of every step's text is lost; the tokens are right.

    Stands for a detokeniser that starts anew with every step, as many tokenizers leave the blank off the
    first word that they decode. Hooks ``vllm.v1.engine.detokenizer.BaseIncrementalDetokenizer.update``.
    Without speculation every blank is lost, for a step has one token.
    """

    name = "detokenisation"
    severity = "gross"
    checks = ("identity", "audit", "endpoint")
    hook = f"{_DETOKENIZER}:BaseIncrementalDetokenizer.update"
    arguments = ("new_token_ids", "stop_terminated")
    effect = "text"
    needs_speculation = False

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            stream = bound(original, args, kwargs)["self"]
            before = len(stream.output_text)
            found = original(*args, **kwargs)
            new = stream.output_text[before:]
            if new.startswith(" "):
                stream.output_text = stream.output_text[:before] + new[1:]
                self.act()
            return found

        return faulty
