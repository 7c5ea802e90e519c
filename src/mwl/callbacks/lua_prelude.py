"""What Lua has before the scripts of a site: pieces of Lua, and how its text becomes Python's."""

import codecs
from typing import Any

INSTRUCTIONS_BETWEEN_LOOKS = 10_000
"""Instructions of Lua from one look at the clock to the next, about 0.1 ms."""

ENCODING = "mwl_lua"
"""UTF-8 that keeps every byte: what is none becomes lone surrogates, and those bytes again."""

# A hook belongs to one coroutine, so every new one gets it too. Once the time is over the hook is
# called at each instruction: what a script catches inside is thrown again outside. A helper tells
# its failure in place of raising it, so that the error has the line of the script.
PRELUDE = """
local is_late, stop, say = ...
local sethook, create, resume = debug.sethook, coroutine.create, coroutine.resume
local function guard()
  if is_late() then
    sethook(guard, '', 1)
    stop(debug.traceback('', 2))
  end
end
local function watched(f)
  return function(...)
    sethook(guard, '', COUNT)
    return f(...)
  end
end
local function looked_at(...)
  guard()
  return ...
end
coroutine.resume = function(co, ...) return looked_at(resume(co, ...)) end
coroutine.create = function(f) return create(watched(f)) end
coroutine.wrap = function(f)
  local co = create(watched(f))
  local function results(ok, ...)
    if not ok then error((...), 0) end
    return ...
  end
  return function(...) return results(resume(co, ...)) end
end
python = nil

-- They would end the process, or wait for a keyboard that it does not have.
local function refused(name)
  return function() error(name .. ' is not for scripts of a server', 2) end
end
os.exit = refused('os.exit')
debug.debug = refused('debug.debug')

local function texts(...)
  local found = {}
  for i = 1, select('#', ...) do found[i] = tostring((select(i, ...))) end
  return found
end
print = function(...) say('output', table.concat(texts(...), ', ')) end
LogInfo = function(text) say('info', tostring(text)) end
LogWarning = function(text) say('warning', tostring(text)) end
LogError = function(text) say('error', tostring(text)) end

local write, output, stdout = io.write, io.output, io.stdout
io.write = function(...)
  if output() ~= stdout then return write(...) end
  say('output', (table.concat(texts(...)):gsub('\\n$', '')))
  return stdout
end

local function helper(f)
  return function(...)
    local ok, value = f(...)
    if not ok then error(value, 2) end
    return value
  end
end
return function(f, ...) return watched(f)(...) end, helper
""".replace("COUNT", str(INSTRUCTIONS_BETWEEN_LOOKS))
"""Gets what the clock and the log are; gives what calls a function, and what wraps a helper."""

OF_LUA_5_2 = """
math.pow = math.pow or function(x, y) return x ^ y end
if bit32 then return end
local function whole(x) return math.tointeger(x) or math.floor(x) end
local function cut(x) return whole(x) & 0xFFFFFFFF end
local function joined(operation, start)
  return function(...)
    local found = start
    for i = 1, select('#', ...) do found = operation(found, cut((select(i, ...)))) end
    return found
  end
end
local function shifted(x, by)
  x, by = cut(x), whole(by)
  if by <= -32 or by >= 32 then return 0 end
  return by >= 0 and (x << by) & 0xFFFFFFFF or x >> -by
end
local function rotated(x, by)
  x, by = cut(x), whole(by) % 32
  return ((x << by) | (x >> (32 - by))) & 0xFFFFFFFF
end
local function mask(field, width)
  width = width or 1
  assert(field >= 0 and width > 0 and field + width <= 32, 'trying to access non-existent bits')
  return (1 << width) - 1
end
local band = joined(function(a, b) return a & b end, 0xFFFFFFFF)
bit32 = {
  band = band,
  bor = joined(function(a, b) return a | b end, 0),
  bxor = joined(function(a, b) return a ~ b end, 0),
  bnot = function(x) return ~cut(x) & 0xFFFFFFFF end,
  btest = function(...) return band(...) ~= 0 end,
  lshift = shifted,
  rshift = function(x, by) return shifted(x, -whole(by)) end,
  arshift = function(x, by)
    x, by = cut(x), whole(by)
    if by <= 0 or x < 0x80000000 then return shifted(x, -by) end
    if by >= 32 then return 0xFFFFFFFF end
    return (x >> by) | (~(0xFFFFFFFF >> by) & 0xFFFFFFFF)
  end,
  lrotate = rotated,
  rrotate = function(x, by) return rotated(x, -whole(by)) end,
  extract = function(x, field, width) return (cut(x) >> field) & mask(field, width) end,
  replace = function(x, value, field, width)
    local bits = mask(field, width)
    return (cut(x) & ~(bits << field)) | ((cut(value) & bits) << field)
  end,
}
"""
"""What Lua 5.3 has of 5.2 as Debian builds it, and with it Orthanc."""

LOAD = "local text, name = ...; local f, e = load(text, name); if f then return f end error(e, 0)"
"""Gets a piece of Lua and its name; gives a function."""


def shown(text: str) -> str:
    """Give text of Lua as it can be written anywhere: what is no UTF-8 is replaced."""
    return encoded(text).decode("utf-8", "replace")


def encoded(text: str) -> bytes:
    """Give the bytes of text of Lua."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair of surrogates, as JSON can have it
        return text.encode("utf-8", "surrogatepass")


def _encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
    del errors
    return encoded(text), len(text)


def _decode(data: Any, errors: str = "strict") -> tuple[str, int]:
    del errors
    return bytes(data).decode("utf-8", "surrogateescape"), len(data)


def _codec(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(_encode, _decode, name=ENCODING) if name == ENCODING else None


codecs.register(_codec)
