"""Towpath moves a running application to Cloudflare, phase by phase, and keeps a record that proves it.

Each room is a package, and imports run one way (docs/architecture.md): errors, checks and secrets are the words that
all use; cloudflare speaks to the API; tables and objects are the two surfaces; plan reads what is to be done; show
displays; runs keeps the record; workbench is what a notebook calls; local starts the runtime; cli is the command.
"""
