"""The human study: from blinded items to a mean opinion score that can be defended.

Three parts, which share files and nothing else:

* preparation (:mod:`~labelsplat.study.prepare`): photos and orders become a package and a key;
* the rating app (:mod:`~labelsplat.study.app`) shows the package and keeps answers;
* the analysis (:mod:`~labelsplat.study.analyse`) joins answers and key; without answers a simulated
  panel (:mod:`~labelsplat.study.panel`) takes the raters' place, and is called so everywhere.

:mod:`~labelsplat.study.package` and :mod:`~labelsplat.study.key` fix what travels: the package goes
to where people rate, the key stays with the analyst, ratings come back as CSV. Import from the
modules: the app must start without the packages of the analysis, and the other way round.
"""
