"""The files that a new user starts from, as text."""

from __future__ import annotations

from tais.errors import UsageError
from tais.starter.changes import CHANGES, Choices, scalar

__all__ = ["GITHUB", "GITLAB", "control_of", "github_text", "gitlab_text", "manifest_text", "policy_text"]

# Nothing called "tais" is assumed on an index: whoever takes that name there could run code beside a key.
_ACTION = "your-org/tais@0000000000000000000000000000000000000000"
_INSTALL = 'python -P -m pip install "tais[cpu] @ git+https://your-host/your-org/tais@$TAIS_COMMIT"'
_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
_OWN = '$CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID'
GITHUB, GITLAB = ".github/workflows/{}.yml", "{}.gitlab-ci.yml"
_SCHEMA = "# yaml-language-server: $schema=.tais/{}.schema.json\n"


def control_of(choices: Choices) -> str | None:
    """Return the model of the positive control: the one that was named, else what the change offers."""
    own = CHANGES[choices.change].control
    return choices.control or (own(choices) if own else None)


def manifest_text(choices: Choices) -> str:
    """Return the manifest of a change.

    Raises
    ------
    UsageError
        When the change is none of this engine's, or lacks what it needs.
    """
    change = CHANGES[choices.change]
    if choices.engine not in change.engines:
        remedy = f"Engines of this change: {', '.join(change.engines)}"
        raise UsageError(f"--change {choices.change} is not for --engine {choices.engine}", remedy=remedy)
    if change.asks and not choices.value:
        raise UsageError(f"--change {choices.change} needs --to", remedy=change.asks)
    target = [f"engine: {choices.engine}", f"model: {scalar(choices.model)}"]
    target += [f"dtype: {scalar(choices.dtype)}"] if choices.dtype else []
    target += [f"engine_args: {{base_url: {scalar(choices.url)}}}"] if choices.url else []
    again = {
        "vllm": ", engine_args: {max_num_seqs: 7}",
        "transformers": "",
        "openai": ", engine_args: {concurrency: 5}",
    }
    lines = [
        _SCHEMA.format("manifest") + f"# {change.what}: what runs today against what is to run.",
        f"name: {scalar(choices.name)}",
        *_environments(choices),
        "arms:",
        f"  target: {{{', '.join(target)}}}",
        "  # The same stack once more: what TAIS sees when nothing changed.",
        f"  again: {{extends: target, order: shuffled{again[choices.engine]}}}",
        f"  candidate: {{extends: target, {change.arm(choices)}}}",
    ]
    contrasts = [
        "  - {reference: target, candidate: candidate}",
        "  - {reference: target, candidate: again, role: calibration}",
    ]
    control = control_of(choices)
    if control:
        lines += [
            "  # Known to be worse: a screen that does not see this sees nothing.",
            f"  control: {{extends: target, model: {scalar(control)}}}",
        ]
        contrasts.append("  - {reference: target, candidate: control, role: positive_control}")
    else:
        lines.append(
            "  # Add a weaker or tuned model as a control, in a contrast with role: positive_control."
        )
    named = ", ".join(_battery(battery) for battery in choices.batteries)
    lines += [
        "contrasts:",
        *contrasts,
        "# tais battery list shows all that there are; tais plan says how many questions a margin needs.",
        f"batteries: [{named}]",
        "sampling: {temperature: 0, max_tokens: 256, seed: 42}",
    ]
    return "\n".join(lines) + "\n"


def _environments(choices: Choices) -> list[str]:
    found = CHANGES[choices.change].environments(choices)
    made = [f"  {name}: {{requirements: [{scalar(asked)}]}}" for name, asked in found.items()]
    return ["# tais env create makes what is listed here.", "environments:", *made] if made else []


def _battery(name: str) -> str:
    if not name.endswith((".yaml", ".yml")):
        return scalar(name)
    short = name.rpartition("/")[2].rpartition(".")[0]
    return f"{{name: {scalar(short)}, path: {scalar(name)}}}"


def policy_text(choices: Choices) -> str:
    """Return the policy of a gate for that manifest."""
    control = control_of(choices)
    roles = "[calibration, positive_control]" if control else "[calibration]"
    lines = [
        _SCHEMA.format("policy")
        + "# What a gate asks of a run: tais policy explain FILE says what each key is for.",
        "schema: tais/policy/v2",
        "contrasts:",
        "  - {reference: target, candidate: candidate}",
        f"roles: {roles}",
        *(
            []
            if control
            else [
                "# Without a control nothing shows how small a leak would be seen.",
                "sensitivity: {required: false}",
            ]
        ),
        "max_age_days: 30",
        "# Keys of your CI, relative to this file; until then: tais gate --trusted-key PUB.pem",
        "# trusted_keys: [{path: tais.pub}]",
    ]
    return "\n".join(lines) + "\n"


def github_text(manifest: str, policy: str) -> str:
    """Return a workflow for GitHub; see docs/ci.md for what its lines protect."""
    return f"""\
# See docs/ci.md of TAIS. Put the commit of TAIS that you read in the place of the zeros.
name: screen
on:
  pull_request:
    paths: [{scalar(manifest)}]
permissions:
  contents: read
jobs:
  screen:
    runs-on: [self-hosted]
    # Holds TAIS_SIGNING_KEY; give it required reviewers. Pull requests of forks get no secrets.
    environment: tais-signing
    steps:
      - uses: {_CHECKOUT}
        with:
          persist-credentials: false
      - uses: {_ACTION}
        with:
          manifest: {scalar(manifest)}
          # It says what is to run, and is what changes. Pin the rest of it: tais policy strict --from RUN
          manifest-from: change
          policy: {scalar(policy)}
          trusted-key: tais.pub
          signing-key: ${{{{ secrets.TAIS_SIGNING_KEY }}}}
"""


def gitlab_text(manifest: str, policy: str) -> str:
    """Return a job for GitLab, to be included."""
    policy_file, key_file = (f'"$CI_PROJECT_DIR/../{name}"' for name in ("policy.yaml", "tais.pub"))
    return f"""\
# See docs/ci.md of TAIS. TAIS_COMMIT is the commit of TAIS that you read.
screen:
  stage: test
  rules:
    # Merge requests of forks get no keys, and are left out.
    - if: {_OWN}
      changes: [{scalar(manifest)}]
  script:
    - {_INSTALL}
    - git fetch --depth 1 origin "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME"
    - git show "FETCH_HEAD:{policy}" > {policy_file}
    - git show FETCH_HEAD:tais.pub > {key_file}
    # 1 and 3 are verdicts, which the gate judges.
    - code=0; tais run "{manifest}" --out reports > verdict || code=$?
    - case $code in 0|1|3) ;; *) exit $code ;; esac
    # The run of this job by its name: a folder might hold another that the change brought along.
    - tais gate "$(tail -n 1 verdict | cut -f 2)" --recompute --policy {policy_file} --trusted-key {key_file}
  artifacts:
    when: always
    paths: [reports/]
    reports:
      junit: reports/*/*/junit.xml
"""
