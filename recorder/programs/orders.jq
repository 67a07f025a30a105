# Makes up orders, writes them as text, reads them back, groups and sums them. Run with -n.

def words: ["stone", "wall", "dry", "field", "cap", "hearting", "batter", "course", "wedge"];
def order($n):
  { id: $n,
    customer: { name: "\(words[$n % 9]) \(words[$n * 7 % 9])",
      note: [null, "caf\u00e9", ""][$n % 3] },
    lines: [range($n * 13 % 7 + 1)
      | { item: "\(words[(. + $n) % 9])-\($n * 31 % 1000)", count: (. * $n % 50 + 1),
          price: (. * 17 % 90 + 0.5), tags: words[: . % 4] }] };

[range(400) | order(.) | tojson | fromjson]
| map(.total = ([.lines[] | .count * .price] | add))
| group_by(.customer.name)
| map({ name: .[0].customer.name, orders: length, total: (map(.total) | add),
        items: ([.[].lines[].item | split("-")[0]] | unique),
        notes: ([.[].customer.note // "none" | ascii_upcase] | group_by(.)
          | map({ (.[0]): length }) | add) })
| sort_by(-.total)[]
