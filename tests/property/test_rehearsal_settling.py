"""Any ledger against the side that it describes: it holds; and against that side with one thing wrong: it does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from towpath.rehearsal.ledger import Deed, Told, Write
from towpath.rehearsal.settling import Found, Wrong, settle

TOLD = st.sampled_from(Told)
LIVES = st.lists(
    st.tuples(st.sampled_from(("task", "note")), st.lists(st.tuples(st.booleans(), TOLD, st.booleans()), max_size=5)),
    max_size=6,
)
# Two lives that every ledger ends with, so that there is always something to lose, to double and to raise.
CHANGED = ("task", [(False, Told.ACKNOWLEDGED, True), (False, Told.ACKNOWLEDGED, True)])
REFUSED = ("note", [(False, Told.REFUSED, False)])
Lives = list[tuple[str, list[tuple[bool, Told, bool]]]]


def lived(lives: Lives) -> tuple[list[Write], list[Found]]:
    """A ledger of clients as ours are, and what an honest side then holds.

    Each step of a life is (removes, what the client is told, whether an unknown write took effect).  The model is a
    dictionary; it shares nothing with `settle`.
    """
    writes: list[Write] = []
    side: dict[tuple[str, str], int] = {}
    for at, (kind, steps) in enumerate([*lives, CHANGED, REFUSED], 1):
        name, version = f"towpath-abc-{at:06d}", 0
        for removes, told, effect in steps:
            there = (kind, name) in side
            if version and not there:
                break  # removed
            deed = Deed.CREATE if version == 0 else Deed.REMOVE if removes else Deed.CHANGE
            wanted = version if deed is Deed.REMOVE else version + 1
            writes.append(Write(len(writes) + 1, len(writes), deed, kind, name, wanted, told))
            if told is Told.ACKNOWLEDGED or (told is Told.UNKNOWN and effect):
                if deed is Deed.REMOVE:
                    del side[kind, name]
                else:
                    side[kind, name] = wanted
            if told is Told.ACKNOWLEDGED:
                version = wanted
            if told is Told.UNKNOWN or (deed is Deed.CREATE and told is Told.REFUSED):
                break  # the client leaves it alone, and makes another one
    return writes, [Found(kind, f"{name} v{version}") for (kind, name), version in side.items()]


@given(LIVES)
def test_an_honest_side_holds(lives: Lives) -> None:
    writes, found = lived(lives)
    settled = settle(writes, found, side="side")
    assert settled.holds, settled.lines
    assert settled.certain + settled.open == settled.entities


@given(LIVES, st.data())
def test_a_write_that_got_lost_is_found(lives: Lives, data: st.DataObject) -> None:
    writes, found = lived(lives)
    unknown = {write.marker for write in writes if write.told is Told.UNKNOWN}
    sure = [one for one in found if one.text.partition(" ")[0] not in unknown]
    gone = data.draw(st.sampled_from(sure))
    settled = settle(writes, [one for one in found if one is not gone], side="side")
    assert [(fault.wrong, fault.marker) for fault in settled.faults] == [(Wrong.MISSING, gone.text.partition(" ")[0])]


@given(LIVES, st.data())
def test_a_write_that_came_twice_is_found(lives: Lives, data: st.DataObject) -> None:
    writes, found = lived(lives)
    twice = data.draw(st.sampled_from(found))
    settled = settle(writes, [*found, twice], side="side")
    assert [(fault.wrong, fault.marker) for fault in settled.faults] == [(Wrong.DOUBLED, twice.text.partition(" ")[0])]


@given(LIVES, st.data())
def test_a_change_that_got_lost_is_found(lives: Lives, data: st.DataObject) -> None:
    writes, found = lived(lives)
    unknown = {write.marker for write in writes if write.told is Told.UNKNOWN}
    changed = [one for one in found if not one.text.endswith(" v1") and one.text.partition(" ")[0] not in unknown]
    one = data.draw(st.sampled_from(changed))
    marker, _, version = one.text.partition(" v")
    older = Found(one.kind, f"{marker} v{int(version) - 1}")
    settled = settle(writes, [older if other is one else other for other in found], side="side")
    assert [(fault.wrong, fault.marker) for fault in settled.faults] == [(Wrong.STALE, marker)]


@given(LIVES, st.data())
def test_what_was_refused_or_removed_and_is_there_is_found(lives: Lives, data: st.DataObject) -> None:
    writes, found = lived(lives)
    there = {one.text.partition(" ")[0] for one in found}
    unknown = {write.marker for write in writes if write.told is Told.UNKNOWN}
    gone = [write for write in writes if write.marker not in there | unknown]
    risen = data.draw(st.sampled_from(gone))
    settled = settle(writes, [*found, Found(risen.kind, f"{risen.marker} v1")], side="side")
    assert [fault.marker for fault in settled.faults] == [risen.marker]
    assert settled.faults[0].wrong in (Wrong.RISEN, Wrong.UNTOLD)
