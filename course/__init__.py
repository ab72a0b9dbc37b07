"""Foundation models, hands on: the helper package behind the notebooks.

Importing it loads nothing else; a lesson imports the modules that it needs.
"""

__version__ = "0.1.0"
