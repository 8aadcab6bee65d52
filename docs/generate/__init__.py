"""Pages that are made from the package: results, problem files, commands, interface, studies, notebooks.

`hooks.py` is what mkdocs calls (see mkdocs.yml); the others return Markdown and know nothing of mkdocs.
"""
