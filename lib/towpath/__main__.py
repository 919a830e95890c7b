"""`python -m towpath` is the `towpath` command."""

from towpath.cli import main

if __name__ == "__main__":
    main()
