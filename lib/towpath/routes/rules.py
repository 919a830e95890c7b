"""What can be wrong with routes, and what of an application's code no Worker can run: one code per rule, as data."""

from __future__ import annotations

from functools import partial

from towpath.checks import Rule, Severity

_rule = partial(Rule.of, "routes")
_REFUSE, _DECIDE, _WARN, _NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE

_MAP = (
    _rule("RT100", "Every route of the application is accounted for", _REFUSE, "see RT101 and RT102"),
    _rule(
        "RT101",
        "route that the map does not name",
        _REFUSE,
        "give it a row in traffic.routes, or say in traffic.left why it stays behind",
    ),
    _rule(
        "RT102",
        "row of the map that names no route",
        _REFUSE,
        "remove it, or look why the application no longer has that route",
    ),
    _rule(
        "RT103",
        "method or path changes",
        _DECIDE,
        "the gateway changes neither: the new side answers the old name too, or its clients change before the move",
        "alias clients",
    ),
    _rule("RT104", "authentication changes", _DECIDE, "look whether every client can follow", "accept"),
    _rule(
        "RT105",
        "two routes become one",
        _DECIDE,
        "look whether the new route can tell their requests apart",
        "merge",
    ),
    _rule("RT106", "route that stays behind", _WARN, "whoever asks for it after the move gets an error"),
    _rule("RT107", "route that does not say its methods", _WARN, "look into its code for what it answers"),
    _rule(
        "RT108",
        "route that no recorded request exercises",
        _WARN,
        "record one: nothing shows that both sides answer alike",
    ),
    _rule(
        "RT109",
        "recorded request that is of no route",
        _REFUSE,
        "make the corpus again with `towpath corpus`",
    ),
    _rule(
        "RT110",
        "route whose method does not say whether it writes",
        _NOTE,
        "name it in WRITES or READS of the gateway too",
    ),
    _rule(
        "RT111",
        "placeholder that nothing fills",
        _WARN,
        "name it in traffic.samples or traffic.tokens: the requests with it are not sent",
    ),
)
_CODE = (
    _rule("RT200", "The application's source is looked at", _REFUSE, "correct traffic.application.source"),
    _rule("RT201", "starts another program", _WARN, "a Worker has no processes: call a service, or a container"),
    _rule("RT202", "calls a service on its own machine", _WARN, "a Worker reaches bindings and public addresses alone"),
    _rule("RT203", "writes files to its own disk", _WARN, "a Worker has no disk that lasts: put them into R2"),
    _rule("RT204", "makes temporary files", _WARN, "a Worker has no disk: hold it in memory, up to 128 MB, or in R2"),
    _rule(
        "RT205",
        "computes for long on purpose",
        _WARN,
        "look at the Worker's CPU limit; a hash of a password may need most of it",
    ),
    _rule(
        "RT206",
        "works with images or numbers in native code",
        _WARN,
        "a Worker has no native libraries: use Cloudflare Images, WebAssembly or a container",
    ),
    _rule("RT207", "starts threads or processes of its own", _WARN, "a Worker has one thread: await, or use a queue"),
    _rule("RT208", "speaks over a socket", _WARN, "use fetch, or connect() where the protocol is over TCP"),
    _rule(
        "RT209",
        "keeps state in a module",
        _WARN,
        "isolates come and go and share nothing: keep it in KV, D1 or a Durable Object",
    ),
    _rule("RT210", "runs by a schedule", _WARN, "give the Worker a cron trigger"),
    _rule(
        "RT211",
        "loops without a bound, or over all rows",
        _WARN,
        "a request has a limit of CPU and of memory: page it, or put it into a queue",
    ),
    _rule("RT212", "source that cannot be read", _WARN, "nothing was looked at in this file: look at it by hand"),
)
RULES: dict[str, Rule] = {rule.code: rule for rule in (*_MAP, *_CODE)}
