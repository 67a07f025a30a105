-- Tables, strings, closures, coroutines; collected again and again.
local function tree(depth)
  if depth == 0 then return { name = "leaf" } end
  return { tree(depth - 1), tree(depth - 1), name = "node " .. depth }
end
local function count(node)
  return 1 + (node[1] and count(node[1]) + count(node[2]) or 0)
end
local sum = 0
for round = 1, 12 do sum = sum + count(tree(13)) end
print(sum)
local words = {}
for i = 1, 50000 do words[#words + 1] = ("%x-%d"):format(i * 7919 % 65537, i) end
table.sort(words)
print(words[1], words[#words], #table.concat(words, " "))
local makers = coroutine.wrap(function()
  for i = 1, 20000 do coroutine.yield(function(k) return i * k end) end
end)
local total = 0
for i = 1, 20000 do total = total + makers()(i) end
print(total)
local function shout(rest) return rest:upper() .. "s" end
print((("stone "):rep(2000):gsub("s(%w+)", shout)):sub(1, 40))
