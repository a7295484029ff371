"""Lets `python -m nmt_cli` stand for `nmt`."""

from nmt_cli.cli import main

if __name__ == "__main__":
    main()
