"""Answers from a folder of its own, which the environment variable WORKLISTS names.

    "PythonScript": "folder_of_worklists.py"

The folder that the configuration names is not asked then. Orthanc's plugin for Python runs this
script as it is.
"""

import json
import os
from pathlib import Path

import orthanc


def on_worklist(answers, query, connection):
    """Answer with the files that match."""
    asked = json.loads(
        orthanc.DicomBufferToJson(
            query.WorklistGetDicomQuery(),
            orthanc.DicomToJsonFormat.HUMAN,
            orthanc.DicomToJsonFlags.NONE,
            0,
        )
    )
    orthanc.LogInfo(f"{connection.GetConnectionRemoteAet()} asks for {', '.join(asked)}")
    for file in sorted(Path(os.environ["WORKLISTS"]).glob("*.wl")):
        content = file.read_bytes()
        if query.WorklistIsMatch(content):
            answers.WorklistAddAnswer(query, content)


orthanc.RegisterWorklistCallback2(on_worklist)
