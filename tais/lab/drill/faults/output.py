"""Faults on the way out: tokens are lost, or right tokens become wrong text."""

from __future__ import annotations

from tais.lab.drill.faults.base import Check, Fault, Function, bound

__all__ = ["Detokenisation", "DroppedLastToken", "FirstListedStop", "IdsPastStop", "StopCut"]

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
    stops = 1

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


class FirstListedStop(Fault):
    """Of several stop strings that end inside a step, the first of the list ends the answer.

    Stands for vLLM up to 0.26 (the exhibit `several-stop-strings` of the museum): with one token per step the
    order of the list hardly matters, with several an answer runs on to the string that the list names first.
    Hooks ``vllm.v1.engine.detokenizer.check_stop_strings``.
    """

    name = "first_listed_stop"
    severity = "slight"
    checks = _SEEN
    hook = f"{_DETOKENIZER}:check_stop_strings"
    arguments = ("output_text", "new_char_count", "stop", "include_in_output")
    effect = "text"
    stops = 2

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            right = original(*args, **kwargs)
            if right is None:
                return None
            call = bound(original, args, kwargs)
            each = (original(**{**call, "stop": [stop]}) for stop in call["stop"])
            found = next(one for one in each if one is not None)
            self.act(found != right)
            return found

        return faulty


class IdsPastStop(Fault):
    """The text ends at a stop string, and the token ids of its step run on behind it.

    Stands for vLLM up to 0.31 (the exhibit `ids-past-a-stop` of the museum): ids are handed out that the
    target never chose. Hooks ``vllm.v1.engine.detokenizer.BaseIncrementalDetokenizer.update``.
    """

    name = "ids_past_stop"
    severity = "slight"
    checks = _SEEN
    hook = f"{_DETOKENIZER}:BaseIncrementalDetokenizer.update"
    arguments = ("new_token_ids", "stop_terminated")
    effect = "tokens"
    stops = 1

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            call = bound(original, args, kwargs)
            ids, new = call["self"].token_ids, list(call["new_token_ids"])
            begins = len(ids)
            found = original(*args, **kwargs)
            lost = new[len(ids) - begins :]
            if found is not None and lost:
                ids.extend(lost)
                self.act()
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
