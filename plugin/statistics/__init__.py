"""The numbers of the Curation panel, computed by the database for a view. Knows nothing of panels.

One module per question: ``counts`` (instances per class and source, matches of two sources), ``agreement`` (how far
two sources agree on each image), ``confusion`` (which class of one stands where the other has which), ``coverage``
(which attribute values have images), ``drilldown`` (the view behind a number), ``side_by_side`` (two sources drawn on
one image each); ``snapshot`` keeps the answers for one view. Samples are loaded only where their images are drawn.
"""
