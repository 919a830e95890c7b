"""What parity, latency and load can find: one code per rule, as data."""

from __future__ import annotations

from towpath.checks import Rule, Severity

_ACCEPT = ("accept", "accept")

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        Rule.of(
            "parity",
            "PA101",
            "the new side answers otherwise",
            Severity.DECIDE,
            "correct the new application, or write a rule for what may differ into traffic.parity",
            *_ACCEPT,
            "the old answers of this route: clients that rely on them",
        ),
        Rule.of(
            "parity",
            "PA102",
            "the new side writes other rows",
            Severity.DECIDE,
            "correct the new application, or write a rule for what may differ into traffic.parity",
            *_ACCEPT,
            "rows as the old application would have written them",
        ),
        Rule.of(
            "parity",
            "PA103",
            "a route was not exercised",
            Severity.DECIDE,
            "add a request of it to the corpus, or make the old side answer it",
            *_ACCEPT,
            "the proof that both sides answer this route alike",
        ),
        Rule.of(
            "parity",
            "PA104",
            "two answers of the old side differ",
            Severity.NOTE,
            "read what differs: it was not compared with the new side",
        ),
        Rule.of(
            "parity",
            "PA105",
            "a rule of traffic.parity met nothing",
            Severity.WARN,
            "correct its route or its path, or take it out",
        ),
        Rule.of(
            "parity",
            "PA106",
            "the two sides were not asked",
            Severity.DECIDE,
            "name source_url and worker_url in the params and traffic.corpus in mapping.yaml",
            *_ACCEPT,
            "the proof that both applications answer alike, and how fast",
        ),
        Rule.of(
            "parity",
            "PA107",
            "the new side does not bear the load",
            Severity.REFUSE,
            "look at the routes named here, and at their queries, before traffic moves",
        ),
        Rule.of(
            "parity",
            "PA108",
            "the success target is missed",
            Severity.WARN,
            "look at the routes named here; the budget of the load holds",
        ),
    )
}
