"""Every order of events that a cutover can meet, explored one by one: the single writer, proved over its own table.

layout      the state of the world in one integer, for many worlds at once (NumPy)
world       what can happen: runner, operator, clients, isolates, accidents; and what must never be
explore     breadth first through all of it; the way back from each state; the story that leads to a violation
mutations   the same table, spoiled on purpose: each must be found out
"""
