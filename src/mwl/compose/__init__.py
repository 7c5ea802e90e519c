"""New worklist items from keys, JSON or rows of a table, with what can be filled in.

What is said about an item comes as assignments (`assignments`), from arguments, a JSON document
(`document`) or a row of a table (`table`), with placeholders replaced (`placeholders`). They are
laid out in the data set (`layout`), their values checked (`values`), what is missing is filled in
or refused (`filling`); `recipe` is the way through all of this for one item, and `naming` gives
its file a name. Nothing here reads or writes a file, looks at a clock or makes a random number.

Source: DICOM PS3.4 Table K.6-1 (what an item has), PS3.5 Table 6.2-1 (what a value may be).
"""

from mwl.compose.assignments import Assignment, Document, Origin, read_arguments
from mwl.compose.document import document_of, read_documents, read_template
from mwl.compose.filling import FILLS, Fill
from mwl.compose.naming import DEFAULT_NAMES, SUFFIX, FileNames
from mwl.compose.placeholders import PLACEHOLDERS
from mwl.compose.recipe import NewItem, Recipe
from mwl.compose.table import read_table

__all__ = [
    "DEFAULT_NAMES",
    "FILLS",
    "PLACEHOLDERS",
    "SUFFIX",
    "Assignment",
    "Document",
    "FileNames",
    "Fill",
    "NewItem",
    "Origin",
    "Recipe",
    "document_of",
    "read_arguments",
    "read_documents",
    "read_table",
    "read_template",
]
