-- Restricts each query to the station that asks, whatever it asks for.
--
--     "LuaScripts": ["own_station.lua"]

local STEPS, STATION = '0040,0100', '0040,0001'

function IncomingWorklistRequestFilter(query, origin)
  local steps = query[STEPS]
  if type(steps) ~= 'table' or steps[1] == nil then
    query[STEPS] = {{}}
  end
  query[STEPS][1][STATION] = origin['RemoteAet']
  return query
end
