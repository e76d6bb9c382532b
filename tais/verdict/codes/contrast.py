"""Codes that one contrast says: of its treatment, its audit, its evidence and what was found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tais.verdict.codes.code import Code

__all__ = ["CONTRAST_CODES"]

_Passes = partial(Code, "contrast", "passes")
_Fails = partial(Code, "contrast", "fails")
_Blocks = partial(Code, "contrast", "blocks")
_Points = partial(Code, "contrast", "points")
_Note = partial(Code, "contrast", "note")

_READ = "Read the reasons of that endpoint"
_TOKENS = "Look at the tokens in the report; the stack does not choose as its target does"
_ACCEPTED = "Take a draft that fits the target, or prompts on which it is accepted"
_SAME = "Run both arms; a copy is no evidence"

_VERDICT: Mapping[str, Code] = {
    "all_endpoints_pass": _Passes("Every endpoint of the contrast passes.", ""),
    "endpoint_failed": _Points("An endpoint fails.", _READ),
    "endpoint_inconclusive": _Points("An endpoint is inconclusive.", _READ),
    "no_endpoints": _Blocks("No endpoint was scored.", "Name a battery in the manifest"),
    "evidence_accepted": _Note("The rules accept this kind of evidence by name.", ""),
    "evidence_not_accepted": _Blocks(
        "The evidence is not matched outputs, and the rules do not accept it.",
        "Let the reference answer, or name the kind in rules.accept_evidence",
    ),
    "lossless_claim": _Note(
        "Whether a comparison of two runs claims to be lossless, and why.",
        "Run both arms in one manifest to say lossless yourself",
    ),
    "rules_versions_differ": _Note(
        "The compared runs were decided by other verdict rules than this comparison.", ""
    ),
    "stopped_early": _Note("The candidate was stopped at a planned look.", ""),
    "divergence_beyond_aa_floor": _Note(
        "More answers diverge than one more run of the stack is predicted to.", "Read the divergences"
    ),
    "known_starts": _Note(
        "How many starts of the stack the A/A contrasts know, and how far they differ.",
        "Name several A/A arms in one calibration contrast",
    ),
    "pooled_safety": _Note(
        "All safety endpoints together: their flips go no more one way than chance explains.", ""
    ),
    "pooled_safety_worse": _Note(
        "All safety endpoints together lose more than equal stacks would by chance; it decides nothing.",
        "Read the changed answers, or ask more items",
    ),
    "controls_best_and_worst": _Note(
        "Of several positive controls, the one whose leak is seen best and the one seen worst.", ""
    ),
    "calibration_scope": _Note("What the A/A contrast does not cover.", ""),
}

_TREATMENT: Mapping[str, Code] = {
    "treatment_not_requested": _Blocks(
        "No speculation was asked for, and the engine ran some.", "Ask for it, or turn it off"
    ),
    "treatment_not_applied": _Blocks(
        "Speculation was asked for and did not take place as asked.",
        "Read the engine's log; an option may have been ignored",
    ),
    "treatment_too_small": _Blocks("Too few drafted tokens were accepted to be a treatment.", _ACCEPTED),
    "treatment_not_shown": _Blocks(
        "The engine does not count drafts, so nothing shows that it speculated.",
        "Take an engine, or a version of it, that counts them",
    ),
    "acceptance_below_minimum": _Blocks("The acceptance rate lies below rules.min_acceptance.", _ACCEPTED),
    "acceptance_not_counted": _Blocks(
        "rules.min_acceptance is set and the engine does not count by position.",
        "Take an engine that counts them, or leave the rule out",
    ),
    "speculation_option_ignored": _Blocks(
        "The engine resolved a speculation option to another value than was asked for.",
        "Take a version of the engine that knows the option",
    ),
    "lossy_treatment_not_shown": _Blocks(
        "The arm is meant to be lossy, and no token shows that it is.",
        "Check that the lossy rule took effect, or ask more items",
    ),
}

_AUDIT: Mapping[str, Code] = {
    "structural_divergence": _Fails(
        "A token that the target would not have chosen, or another length.", _TOKENS
    ),
    "law_drift": _Fails(
        "All misses together are more than those of every honest control, beyond what honest noise does.",
        _TOKENS,
    ),
    "law_drift_suspect": _Blocks(
        "Misses are more than the control's, and nothing measured tells whether rounding does it.",
        "Add an A/A arm (role: calibration, audit: true) with as many rows in a forward pass, or use float32",
    ),
    "law_excludes_tokens": _Fails("Sampled tokens are impossible under the target's law.", _TOKENS),
    "law_excludes_some": _Blocks(
        "Tokens are impossible under the target's law, and no control says how many rounding makes.",
        "Run the reference, or both in float32",
    ),
    "law_not_followed": _Fails("Sampled tokens drift from the target's law.", _TOKENS),
    "law_of_other_temperature": _Note(
        "Sampled tokens that drift fit the target's law at another temperature.",
        "See whether the stack samples at the temperature asked for",
    ),
    "law_of_draft": _Note(
        "Sampled tokens that drift fit the draft's law.", "See how the stack verifies what the draft proposes"
    ),
    "law_without_cuts": _Note(
        "Sampled tokens that drift fit the law before top-k and top-p.",
        "See whether the stack applies both to drafted tokens",
    ),
    "law_of_token_before": _Note(
        "Sampled tokens that drift fit the law of the token before.",
        "Look for state or scores that the stack reads one place too early",
    ),
    "law_unexplained": _Note("No other law that was tried fits sampled tokens that drift.", ""),
    "law_followed": _Note("Sampled tokens follow the target's law as far as they show.", ""),
    "law_not_tested": _Note("Whether sampled tokens follow the target's law was not tested.", "audit: true"),
    "sampled_answers": _Note("Answers are sampled, so no two are expected to be the same.", ""),
    "leak_within_bound": _Note("The draft drew a smaller share of tokens than rules.max_leak.", ""),
    "leak_not_bounded": _Blocks(
        "Sampled answers stand alone, and the draft's share of their tokens is not below rules.max_leak.",
        "Set rules.max_leak, audit more answers, or run the reference and compare answers",
    ),
    "draft_leak": _Note("Bounds on the share of tokens that the draft drew.", ""),
    "tokens_left_out": _Note("Tokens whose law is not known were left out.", ""),
    "text_divergence": _Blocks(
        "Equal tokens gave another text.", "Compare tokenizers and detokenisation of both stacks"
    ),
    "divergences_explained": _Note("Divergences are ties, or within the numerical band.", ""),
    "divergences_unconfirmed": _Note(
        "Tokens lie outside the band and no float32 check was made.",
        "Audit on a machine with room for float32",
    ),
    "divergences_unexplained": _Blocks(
        "Divergences have no known cause, which caps a claim to be lossless.", "Audit them: audit: true"
    ),
    "divergences_left_out": _Blocks(
        "More divergences than were looked at, which caps a claim to be lossless.",
        "Say lossless: false, or ask fewer items",
    ),
    "audit_incomplete": _Note("Not everything could be scored.", "Read why in the message"),
    "noise_varies": _Note(
        "The control's noise varies by position, and its tokens are too few to bound how far it reaches.",
        "Audit with a reference arm that answers everything (audit: true), or in float32",
    ),
    "conformance": _Note("How many tokens score best under the reference stack.", ""),
    "draft_pull": _Note("How many diverging tokens are the draft's own choice.", ""),
    "nothing_scored": _Blocks("No token was scored.", "Audit with an engine that can score"),
    "leak_bounded": _Note("A bound on the share of tokens that are not the target's.", ""),
    "difference_bounded": _Note("A bound on the share of answers that may have changed.", ""),
    "planted_tokens_flagged": _Note(
        "Tokens planted in control answers were flagged: this audit would have seen one.", ""
    ),
    "planted_tokens_missed": _Blocks(
        "Fewer than 90 % of the tokens planted in control answers were flagged.",
        "Audit in float32, or run the reference and compare answers",
    ),
    "difference_not_bounded": _Blocks("That bound is wider than the margin.", "Audit more items"),
}

_FINDINGS: Mapping[str, Code] = {
    "prompt_drift": _Blocks(
        "Prompts differ in their tokens between the arms.", "Give both the same template and tokenizer"
    ),
    "no_chat_template": _Note(
        "An arm has no chat template, so its prompts went as bare text.",
        "Give it a chat_template, or say chat: false in the battery",
    ),
    "parts_differ": _Note(
        "Answers differ in more than what they say: in thinking, calls of tools, a refusal beside the text.",
        "Read the first divergences",
    ),
    "unknown_parts": _Note(
        "A server sends parts that TAIS does not know; they are kept and compared, and no scorer reads them.",
        "Look at them in the samples",
    ),
    "resolved_differs": _Note(
        "The engines resolved to settings that differ in more than the manifest says.",
        "Set them in the manifest",
    ),
    "engine_versions_differ": _Note(
        "The arms ran on other releases of an engine, or of what it computes with.",
        "Nothing where the release is what was changed; else run both in one environment",
    ),
    "environment_differs": _Note("The arms ran in unlike environments.", "Run both in the same one"),
    "hardware_differs": _Note("The arms ran on unlike machines.", "Run both on like machines"),
    "asked_otherwise": _Note(
        "Answers of imported arms are left out, as the arms were asked otherwise; they count as missing.",
        "Import logs of one task with one order of its options, or ask the log's questions again",
    ),
    "imported_answers": _Note(
        "What the logs of an imported arm say of its samples beside the answers.", "Read the samples named"
    ),
    "reused_arm": _Note("An arm came from the cache.", ""),
    "same_answers": _Blocks("Both arms are copies of the same answers.", _SAME, never_allowed=True),
    "same_evidence": _Blocks(
        "Both sides rest on one and the same evidence; a calibration is then none.",
        "Run both arms; where two stacks made files of equal answers, say so (produced_by)",
        never_allowed=True,
    ),
    "sources_unverified": _Note(
        "A run that this one was made from was not signed, or not verified.",
        "Sign the runs, and make it again with --trusted-key",
    ),
    "produced_by_unverified": _Note(
        "Two imported arms with equal answers, told apart by what the manifest says of them.",
        "Nothing can check produced_by: run the stacks with TAIS",
    ),
    "drill_fault": _Note(
        "A fault was planted in this arm on purpose.", "Nothing: this is a drill", never_allowed=True
    ),
}

CONTRAST_CODES: Mapping[str, Code] = {**_VERDICT, **_TREATMENT, **_AUDIT, **_FINDINGS}
