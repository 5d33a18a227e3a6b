"""What can be wrong with one record."""

from __future__ import annotations


class RecordError(Exception):
    """One record cannot be imported: the message is the reason, without any of the record's text."""
