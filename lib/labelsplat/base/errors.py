"""Errors that a user can act on: each names the place, the value found there, and the remedy."""

from __future__ import annotations


class LabelsplatError(Exception):
    """Base of all errors that come from the user's input rather than from a defect of the code.

    Args:
        message: what is wrong, with the offending value.
        where: file, folder or parameter that it was found in.
        remedy: what the user can do about it.
    """

    def __init__(self, message: str, *, where: object = None, remedy: str | None = None):
        self.message, self.where, self.remedy = message, where, remedy
        text = f"{where}: {message}" if where is not None else message
        super().__init__(f"{text}. {remedy}" if remedy else text)


class CaptureError(LabelsplatError):
    """A capture (photos, cameras, masks) that cannot be used as it is."""


class ParameterError(LabelsplatError):
    """An unknown, misspelt or impossible parameter."""
