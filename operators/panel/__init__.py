"""The Curation panel.

Lowest ``choices`` (where choices are kept) and ``state`` (which are in force), ``widgets`` and ``charts`` (how it is
drawn) and ``actions`` (what a tab may call); above them ``tabs``, which turn numbers of ``plugin.statistics`` into
tables and charts; on top ``panel``, which draws them and, with ``clicks``, answers what is clicked.
"""
