"""The live rehearsal: clients that read and write through the gateway during a whole cutover and its way back.

ledger      what every client wrote and what it was told, line by line, on disk before and after each request
settling    holds the ledger against what a side holds: each acknowledged write exactly once
application what a system must say about itself to be rehearsed: runbooks/<system>/rehearsal.py
clients     sessions that create, change, remove and read
generator   the process in which they live, until it is told to stop
observed    what the clients saw, second by second: gaps, errors, sides
sides       the served old application, the runtime with the gateway, the setting as it changes
drive       the acts of a rehearsal, one after another
telling     what came out of it, for machines and for people
"""
