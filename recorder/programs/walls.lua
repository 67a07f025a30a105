-- Objects, strings, closures and coroutines, collected in steps by Lua's own collector: every one
-- of its blocks comes from realloc.

local state = 20

local function draw(below)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % below
end

local Wall = {}
Wall.__index = Wall

local function wall(name)
  return setmetatable({ name = name, courses = {}, mass = 0 }, Wall)
end

function Wall:lay(mass)
  local course = self.courses[#self.courses]
  if not course or #course == 12 then
    course = {}
    self.courses[#self.courses + 1] = course
  end
  course[#course + 1] = { mass = mass, mark = self.name .. ":" .. mass }
  self.mass = self.mass + mass
end

-- Every stone's mark, one at a time.
local function marks(of)
  return coroutine.wrap(function()
    for _, course in ipairs(of.courses) do
      for _, stone in ipairs(course) do
        coroutine.yield(stone.mark)
      end
    end
  end)
end

local walls, fallen = {}, 0
for turn = 1, 400 do
  local place = draw(40) + 1
  if walls[place] then
    fallen = fallen + #walls[place].courses
  end
  local built = wall("wall" .. turn)
  for _ = 1, 5 + draw(60) do
    built:lay(draw(900))
  end
  walls[place] = built
end

local text, longest = {}, ""
for place = 1, 40 do
  local built = walls[place]
  if built then
    for mark in marks(built) do
      if #mark > #longest then
        longest = mark
      end
    end
    local line = ("%s %d %d"):format(built.name, #built.courses, built.mass)
    text[#text + 1] = line:gsub("%d+", function(digits) return "<" .. digits .. ">" end)
  end
end
table.sort(text)
print(table.concat(text, "\n"))
print(fallen, longest)
