"""Traffic between two sides: which of them answers, how that is changed, and what users see of it.

gateway/    the Worker before both sides (TypeScript): docs/traffic.md
setting     the one value that moves during a cutover, written through KV and awaited at the gateway
buckets     which sessions a percentage takes: the gateway's own computation, once more
requests    the gateway's lines: how many requests, errors, and how long they took
watch       one step of the ramp: go on, enough, over budget, no data
series      the same over time, for a chart
walk        walking through the steps: look, do, look again, note
steps       the steps of the way over and of the way back, as data: what each needs, makes and must see fresh
"""
