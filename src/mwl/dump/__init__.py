"""Data sets as text: what DCMTK's `dcmdump` prints and `dump2dcm` reads.

`writing` makes the lines, `lines` takes one apart, `reading` makes a data set of them; `notation`
is the form of one value for both, and `uid_names` has the names of UIDs.
"""

from mwl.dump.notation import STORED
from mwl.dump.reading import UTF_8_ADDED, Undumped, undump
from mwl.dump.writing import dump, dump_file

__all__ = ["STORED", "UTF_8_ADDED", "Undumped", "dump", "dump_file", "undump"]
