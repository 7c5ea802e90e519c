"""Associations over asyncio: the SCP in `mwl.net.dicom`, the SCU in `mwl.net.client`."""
