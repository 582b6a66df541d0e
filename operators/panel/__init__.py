"""What the Curation panel is made of: its settings, its sections, one module each, and the pieces they share.

Sections turn numbers of ``plugin.statistics`` into tables, charts and words. The panel itself, with everything that
can be clicked, is ``operators.panel.panel``.
"""
