"""The same requests to both sides, and what came of it.

answers    one request, one side, its answer as a tree
paths      places in a tree, and patterns of them
diff       where two trees differ, and what of it is noise
shape      whether answers are of one shape, whatever they say
forms      the rules of mapping.yaml for what may differ
naming     what each side calls a request
replay     the corpus sent: old, new, old; route by route
rows       the rows that a write changed
speed      how long both sides take
load       many users at once, by locust in a process of its own
telling    differences as people read them
findings   what it means for the phase
"""
