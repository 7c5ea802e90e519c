"""The audit trail: who asked, who was refused, who changed an item; kept apart from the log.

`messages` is what is said and its XML, `auditor` makes messages of what happens, `trail` takes them
from the event loop, `spool` keeps them on the disk until `destinations` has brought them where the
site wants them, `syslog` is the form in which they travel.

Unlike the log, messages name patients: that is their purpose. They go into the spool and to the
destination, and nowhere else.

Source: DICOM PS3.15 A.5 (messages), A.6 and A.7 (transmission).
"""
