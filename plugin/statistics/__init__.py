"""What the Curation panel shows of a view, in plain numbers that the database works out.

One module per question: ``instances`` (what was found, and by whom), ``agreement`` (how far two sources agree on
each image), ``coverage`` (which attribute values have images), ``picks`` (the view behind a number), ``pictures``
(two sources drawn side by side); ``snapshot`` keeps the answers for one view. No sample is loaded but those whose
pictures are drawn. Knows nothing of panels.
"""
