"""Signing: ed25519 keys, envelopes (DSSE) and OpenSSH's signatures; it knows no run and no plan.

keys reads private and public keys, envelope is the file form of a signed statement, ssh signs and verifies with
`ssh-keygen`, signers is the list of people and their keys (OpenSSH's allowed_signers).

Modules are imported by their names; this package exports nothing.
"""
