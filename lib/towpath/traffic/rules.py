"""What can be wrong with traffic while it moves: one code per rule, as data."""

from __future__ import annotations

from towpath.checks import Rule, Severity


def _rule(code: str, title: str, severity: Severity, advice: str) -> Rule:
    return Rule(code, "traffic", title, severity, advice)


RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        _rule(
            "TR101",
            "gateway does not work by the new setting",
            Severity.REFUSE,
            "look whether the gateway answers and reads this KV namespace, then run the step again",
        ),
        _rule(
            "TR102",
            "new side answers too many requests with errors",
            Severity.REFUSE,
            "traffic goes back to 0 % by itself; read the new Worker's log for the routes named here",
        ),
        _rule(
            "TR103",
            "new side answers too slowly",
            Severity.REFUSE,
            "traffic goes back to 0 % by itself; look at the routes named here, and at their queries",
        ),
        _rule(
            "TR104",
            "too few request lines to judge the new side by",
            Severity.REFUSE,
            "traffic goes back to 0 %: no data is no success; look whether the gateway writes its lines",
        ),
        _rule(
            "TR105",
            "request lines are lost",
            Severity.WARN,
            "the numbers are of what was written; look at the log of the gateway and the size of the lines' database",
        ),
        _rule(
            "TR106",
            "step of the cutover may not be begun",
            Severity.REFUSE,
            "see that it holds, then run 06-cutover again, or go the way back with 07-roll-back",
        ),
        _rule(
            "TR107",
            "traffic is not where it should be at the end",
            Severity.REFUSE,
            "go the way back with 07-roll-back: users read on the old side until then, and nothing is lost",
        ),
        _rule(
            "TR109",
            "name does not lead where it should",
            Severity.REFUSE,
            "look into the zone who else changes it, then run the phase again",
        ),
        _rule(
            "TR110",
            "notice to the status page was not delivered",
            Severity.WARN,
            "tell your users by hand; look whether the address behind status_webhook answers",
        ),
        _rule(
            "TR111",
            "TTL was not lowered in time",
            Severity.WARN,
            "some users reach the old application past the gateway until their resolver asks again: it refuses writes",
        ),
        _rule(
            "TR112",
            "cache of the edge was not purged",
            Severity.WARN,
            "purge these hosts in the dashboard, or wait until the answers are too old",
        ),
        _rule(
            "TR113",
            "new side answers otherwise than the old one",
            Severity.REFUSE,
            "traffic goes back to 0 % by itself; look at the routes named here, and run 05-validate again",
        ),
        _rule(
            "TR108",
            "writes were refused for longer than promised",
            Severity.WARN,
            "shorten the time between 03-export and 06-cutover, so that less has changed",
        ),
    )
}
