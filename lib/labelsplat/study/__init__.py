"""The human study: from blinded items to a mean opinion score that can be defended.

:mod:`~labelsplat.study.package` and :mod:`~labelsplat.study.key` fix what travels: the item package
goes to where people rate, the key stays with the analyst, ratings come back as CSV.
"""
