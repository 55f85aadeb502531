"""The paper's claims with their verdicts, as the claims page and the pages of tables and figures show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from s2g.experiments.specification import PROFILES
from s2g.experiments.verdicts import Judged


@dataclass(frozen=True)
class ProfileVerdict:
    """A claim's verdict in one profile, and the comparisons it rests on."""

    profile: str
    verdict: str
    comparisons: Sequence[tuple[str, str, str]]  # verdict, numbers, page they come from


@dataclass(frozen=True)
class ClaimSummary:
    """A claim with its verdict in every profile."""

    name: str
    claim: str
    source: str
    verdicts: Sequence[ProfileVerdict]


def claim_summary(judged: Mapping[str, Judged]) -> ClaimSummary:
    """Return a claim's verdicts from its judgements by profile."""
    claim = next(iter(judged.values())).claim
    verdicts = []
    for profile, one in judged.items():
        if not claim.checks.get(profile):
            verdicts.append(ProfileVerdict(profile, "no counterpart", ()))
            continue
        comparisons = [(str(f.verdict), f.said, f"{f.file.partition('-')[0]}.html" if f.file else "") for f in one.found]
        verdicts.append(ProfileVerdict(profile, str(one.verdict), list(dict.fromkeys(comparisons))))
    return ClaimSummary(claim.name, claim.claim, claim.source, verdicts)


def claim_on(summary: ClaimSummary, judged: Mapping[str, Judged], experiment: str) -> ClaimSummary | None:
    """Return the part of a claim that rests on one table or figure; None if it does not rest on it."""
    verdicts = []
    for verdict in summary.verdicts:
        checks = judged[verdict.profile].claim.checks.get(verdict.profile, ())
        if any(check.exhibit == experiment for check in checks):
            own = [comparison for comparison in verdict.comparisons if comparison[2] in ("", f"{experiment}.html")]
            verdicts.append(replace(verdict, comparisons=own))
    return replace(summary, verdicts=verdicts) if verdicts else None


def tally(judged: Mapping[str, Mapping[str, Judged]]) -> dict[str, list[tuple[str, int]]]:
    """Return by profile how many claims have which verdict; claims without a check in a profile are not counted."""
    counts = {}
    for profile in PROFILES:
        checked = [by_profile[profile] for by_profile in judged.values() if by_profile[profile].claim.checks.get(profile)]
        counts[profile] = sorted(Counter(str(one.verdict) for one in checked).items())
    return counts
