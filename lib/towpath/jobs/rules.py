"""What can be wrong with queued jobs on their way from Celery to Queues: one code per rule, as data.

Limits are Queues' (developers.cloudflare.com/queues/platform/limits): a message of 128,000 bytes, a delay of 24 hours.
What Celery and kombu write is read in their 5.7 (kombu/transport/redis.py, celery/app/amqp.py).
"""

from __future__ import annotations

from functools import partial

from towpath.checks import Rule, Severity
from towpath.findings import Findings as Collected

MESSAGE_BYTES = 128_000
DELAY_SECONDS = 86_400
SAMPLES = 20  # ids named in one finding

_REFUSE, _DECIDE, _WARN, _NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE
_rule = partial(Rule.of, "jobs")

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        # the broker
        _rule("JO101", "queue holds jobs and is not named", _REFUSE, "name it in mapping.yaml under jobs.queues"),
        _rule("JO102", "queue is named and the broker knows none", _NOTE, "look whether the name is written right"),
        _rule(
            "JO103",
            "the same job stands in the broker twice; one is kept",
            _NOTE,
            "nothing: Celery delivers a reserved job again after its visibility time-out, and a retry has the same id",
        ),
        _rule(
            "JO104",
            "two jobs with one id and different contents",
            _REFUSE,
            "look which of them is meant, and take the other one out of the queue",
        ),
        _rule(
            "JO105",
            "unacked and unacked_index do not agree",
            _WARN,
            "look at these delivery tags: Celery never gives such a job back to its queue; it is moved like the others",
        ),
        _rule("JO106", "key of a queue is not a list", _REFUSE, "look what else writes to this database"),
        _rule(
            "JO107",
            "queue moved while it was read",
            _WARN,
            "count it again when the workers have stopped: jobs that came or went meanwhile may be missing here",
        ),
        _rule(
            "JO108",
            "job has a priority: Queues have none",
            _NOTE,
            "nothing: it is handed over in the order of its queue; use a queue of its own if the order matters",
        ),
        # single jobs
        _rule(
            "JO201",
            "message is no job that can be read",
            _DECIDE,
            "look at the message; park keeps its bytes in the record",
            "park",
            "park",
            "the message as a job: its bytes stay in the record",
        ),
        _rule(
            "JO202",
            "job is written as pickle, msgpack, yaml or another serializer than JSON",
            _DECIDE,
            "let a worker finish it before the move; park keeps its bytes in the record, nobody opens them",
            "park",
            "park",
            "the job: its bytes stay in the record, and nobody runs it",
        ),
        _rule(
            "JO203",
            "job is reserved by a worker and not acknowledged",
            _DECIDE,
            "drain first; send is what Celery does when the visibility time-out ends: the job may run a second time",
            "send park",
            "park",
            "the job, unless the worker that holds it finishes it",
        ),
        _rule(
            "JO204",
            "job is scheduled for later",
            _NOTE,
            "nothing: it is handed over at once with its time, and the consumer sends it on until it is due",
        ),
        _rule(
            "JO205",
            "job is scheduled for later than the longest delay of a message (24 hours)",
            _DECIDE,
            "send hands it over, and the consumer sends it on once a day; park leaves it to you",
            "send park",
            "park",
            "the job, unless somebody sends it from the record when it is due",
        ),
        _rule(
            "JO206",
            "job is longer than a message may be (128,000 bytes)",
            _DECIDE,
            "let a worker finish it before the move, or put what is long into R2 and name it in the job",
            "park",
            "park",
            "the job: its bytes stay in the record",
        ),
        _rule("JO207", "job has expired: no worker would run it", _NOTE, "nothing: it counts as done, as in Celery"),
        _rule(
            "JO208",
            "job belongs to a chain, chord or callback: Queues know none",
            _DECIDE,
            "let a worker finish it before the move; send hands over the job with what shall follow in its body",
            "send park",
            "send park",
            "send: what shall follow after the job; park: the job as well",
        ),
        _rule(
            "JO209",
            "task that the new application does not know",
            _DECIDE,
            "teach the Worker the task; send lets it end in the dead-letter queue",
            "send park",
            "send park",
            "send: the job ends in the dead-letter queue; park: it stays in the record",
        ),
        _rule(
            "JO210",
            "job is written in Celery's protocol 1",
            _NOTE,
            "look whether the consumer reads such a body: id, task and arguments stand in one object",
        ),
        # drain, export, load
        _rule(
            "JO301",
            "worker is still connected to the broker",
            _REFUSE,
            "stop the workers (SIGTERM: they finish what they run), then run the phase again",
        ),
        _rule(
            "JO302",
            "job is still reserved",
            _WARN,
            "look whether its worker was killed: such a job is exported as reserved, and JO203 says what becomes of it",
        ),
        _rule("JO303", "job of the broker stands in the export once", _REFUSE, "run the phase again"),
        _rule("JO304", "job was handed to the queue", _REFUSE, "run the phase again: it goes on where it stopped"),
        # compare
        _rule("JO401", "number of jobs that are accounted for", _REFUSE, "look at the jobs that are named below"),
        _rule(
            "JO402",
            "job was handed over and did not arrive",
            _REFUSE,
            "run the import again: what arrived stays as it is; then look at the queue's consumer",
        ),
        _rule("JO403", "job arrived that nobody handed over", _REFUSE, "look who else sends to the queue"),
        _rule(
            "JO404", "job arrived with another content", _REFUSE, "look at the consumer: it must keep what it is given"
        ),
        _rule(
            "JO405",
            "job ended in the dead-letter queue",
            _REFUSE,
            "look at the reason; correct the consumer and run the import again, or park the job",
        ),
        _rule("JO406", "job is accounted for twice", _REFUSE, "look who ran it: it is parked or done, and arrived too"),
    )
}


class Findings(Collected):
    """What the rules find: counted for each code and object, with the first ids as samples."""

    def __init__(self) -> None:
        super().__init__(RULES, SAMPLES)
