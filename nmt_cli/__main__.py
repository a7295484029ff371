"""Lets `python -m nmt_cli` stand for `nmt`."""

from nmt_cli.cli import start

if __name__ == "__main__":
    start()
