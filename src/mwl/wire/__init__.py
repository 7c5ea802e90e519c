"""The DICOM upper layer and DIMSE messages, without I/O.

`association` drives `state` and speaks in events; `negotiation` decides what is accepted;
`pdu` and `dimse` are bytes and objects. Nothing here opens a socket, reads a clock or writes a log:
the caller brings bytes and the time. Nothing is re-exported: import from the modules.

Source: DICOM PS3.8 and PS3.7.
"""
