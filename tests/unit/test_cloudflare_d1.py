"""D1 over the real local runtime: transactions, answers, refusals, facts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from towpath.cloudflare import D1, Client, D1Error
from towpath.cloudflare.limits import FREE, limit
from towpath.errors import WrongUse


def test_a_batch_gives_one_answer_for_each_statement(d1: D1) -> None:
    answers = d1.batch(
        [
            "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)",
            "INSERT INTO t VALUES (1, 'x'), (2, 'y;--')",
            ("INSERT INTO t VALUES (3, ?)", ["it's"]),
            "SELECT a, b, b AS b FROM t ORDER BY a",
        ]
    )
    assert [answer.changes for answer in answers[1:3]] == [2, 1]
    assert answers[3].columns == ("a", "b", "b")
    assert answers[3].rows == [[1, "x", "x"], [2, "y;--", "y;--"], [3, "it's", "it's"]]


def test_a_batch_is_one_transaction_with_its_ddl(d1: D1) -> None:
    with pytest.raises(D1Error) as caught:
        d1.batch(["CREATE TABLE t (a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"])
    assert caught.value.unique
    assert d1.facts().empty


def test_a_replayed_receipt_changes_nothing(d1: D1) -> None:
    d1.batch(["CREATE TABLE r (chunk TEXT PRIMARY KEY)", "CREATE TABLE t (a)"])
    body = d1.body([("INSERT INTO r VALUES (?)", ["t:0"]), "INSERT INTO t VALUES (1), (2)"])
    d1.send(body, idempotent=True)
    with pytest.raises(D1Error) as caught:
        d1.send(body, idempotent=True)
    assert caught.value.unique
    assert caught.value.attempts == 1
    assert d1.query("SELECT count(*) FROM t").rows == [[2]]


def test_a_foreign_key_that_fails_only_at_commit_is_recognised(d1: D1) -> None:
    d1.batch(["CREATE TABLE p (a INTEGER PRIMARY KEY)", "CREATE TABLE c (a REFERENCES p(a))"])
    with pytest.raises(D1Error) as at_once:
        d1.batch(["INSERT INTO c VALUES (9)"])
    with pytest.raises(D1Error) as at_commit:
        d1.batch(["PRAGMA defer_foreign_keys = on", "INSERT INTO c VALUES (9)"])
    assert at_once.value.foreign_key
    assert at_commit.value.foreign_key
    assert (at_commit.value.status, at_commit.value.code) == (500, "10000")
    assert d1.query("SELECT count(*) FROM c").rows == [[0]]


def test_statements_end_at_the_documented_length(d1: D1) -> None:
    head, tail = "SELECT length('", "')"
    room = FREE.d1_statement_bytes - len(head + tail)
    assert d1.query(head + "ä" * (room // 2) + "x" * (room % 2) + tail).rows == [[room // 2 + room % 2]]
    with pytest.raises(D1Error) as caught:
        d1.query(head + "x" * (room + 1) + tail)
    assert caught.value.too_long


def test_what_d1_forbids_is_named(d1: D1) -> None:
    with pytest.raises(D1Error) as caught:
        d1.query("PRAGMA integrity_check")
    assert caught.value.forbidden
    assert not caught.value.unauthorised
    with pytest.raises(D1Error, match=f"D1 {d1.database_id}: no such table: nowhere") as missing:
        d1.query("SELECT * FROM nowhere")
    assert missing.value.no_table


@pytest.mark.parametrize("bad", [("SELECT ?", [1]), ("SELECT ?", [None]), ("SELECT ?", "text"), " \n"])
def test_statements_that_are_refused_before_they_are_sent(d1: D1, bad: object) -> None:
    before = d1.client.statistics.requests
    with pytest.raises(WrongUse):
        d1.batch([bad])  # type: ignore[list-item]
    assert d1.client.statistics.requests == before


def test_no_statements_are_no_request(d1: D1) -> None:
    before = d1.client.statistics.requests
    assert d1.batch([]) == []
    assert d1.client.statistics.requests == before


def test_a_body_is_ready_to_be_sent(d1: D1) -> None:
    body = d1.body(["SELECT 1", ("SELECT ?", ["ü"])])
    assert orjson.loads(body) == {"batch": [{"sql": "SELECT 1"}, {"sql": "SELECT ?", "params": ["ü"]}]}
    assert [answer.rows for answer in d1.send(body)] == [[[1]], [["ü"]]]


def test_integers_need_the_text_projection(d1: D1) -> None:
    exact = 2**53 + 1
    plain, text = d1.query(f"SELECT {exact}, 'i' || {exact}").rows[0]
    assert plain != exact  # the reason for the projection; if this fails, the runtime has become exact
    assert text == f"i{exact}"


def test_facts_hold_the_applications_tables_alone(d1: D1) -> None:
    d1.batch(
        [
            "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT)",
            'CREATE TABLE "we ""quote"" it" (a)',
            "CREATE TABLE _towpath_receipts (chunk)",
            "CREATE TABLE d1_migrations (id)",
            "CREATE VIEW seen AS SELECT id FROM users",
            "INSERT INTO users VALUES (1), (2)",
        ]
    )
    facts = d1.facts()
    assert facts.tables == (("users", 2), ('we "quote" it', 0))
    assert (facts.account, facts.database_id, facts.name) == ("", d1.database_id, d1.database_id)
    assert not facts.empty


def test_facts_of_more_tables_than_one_batch_counts(d1: D1) -> None:
    names = [f"t{number:03}" for number in range(53)]
    d1.batch([f"CREATE TABLE {name} (a)" for name in names] + ["INSERT INTO t052 VALUES (1)"])
    assert d1.facts().tables == tuple((name, int(name == "t052")) for name in names)


def test_a_database_comes_into_being_with_its_first_use(d1: D1) -> None:
    assert d1.facts().empty
    assert d1.name() == d1.database_id


def test_one_client_serves_two_threads(d1: D1) -> None:
    d1.batch(["CREATE TABLE t (a INTEGER PRIMARY KEY)"])
    before = d1.client.statistics.requests

    def insert(number: int) -> None:
        d1.batch([f"INSERT INTO t VALUES ({number})"])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(insert, range(40)))
    assert d1.query("SELECT count(*), sum(a) FROM t").rows == [[40, sum(range(40))]]
    assert d1.client.statistics.requests == before + 41


def test_columns_end_at_the_documented_number(d1: D1) -> None:
    width = limit("d1_columns").local
    assert width == FREE.d1_columns
    d1.batch([f"CREATE TABLE fits ({', '.join(f'c{n}' for n in range(width))})"])
    with pytest.raises(D1Error, match="too many columns"):
        d1.batch([f"CREATE TABLE broad ({', '.join(f'c{n}' for n in range(width + 1))})"])


def test_a_database_is_not_seen_by_another(client: Client, d1: D1) -> None:
    d1.batch(["CREATE TABLE t (a)"])
    assert D1(client, d1.database_id + "-other").facts().empty
