"""Scripts and hooks."""

from mwl.config.option import Option
from mwl.config.options.limits import of_limit
from mwl.limits import CALLBACK_TIMEOUT

SCRIPTS: tuple[Option, ...] = (
    Option(
        name="ExecuteLuaEnabled",
        field="execute_lua_enabled",
        kind="boolean",
        default=False,
        help="Whether `POST /tools/execute-script` runs the Lua that it is sent: whoever may use "
        "HTTP may then do all that the server may.",
    ),
    Option(
        name="LuaScripts",
        field="lua_scripts",
        kind="paths",
        default=[],
        help="Lua files whose function `IncomingWorklistRequestFilter` may rewrite each query. "
        "They need the extra `mwl[lua]`. All run in one Lua, in this order.",
    ),
    Option(
        name="PythonScript",
        field="python_script",
        kind="optional file",
        default="",
        help="Python file in which `import orthanc` gives what worklist scripts of Orthanc use. A "
        "worklist callback that it registers gives all the answers, in place of the folder.",
    ),
    Option(
        name="Hooks",
        field="hooks",
        kind="hooks",
        default=[],
        from_orthanc=False,
        help="Python files with functions marked by `mwl.hook`, or names of entry points in the "
        "group `mwl.hooks`: they rewrite or refuse queries, add items, edit answers, hear of "
        "events.",
    ),
    of_limit(
        CALLBACK_TIMEOUT,
        "Longest time that one call of a script or hook may take; then its query fails.",
        from_orthanc=False,
    ),
)
