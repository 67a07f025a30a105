//! Questions to a graph of names.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

/// Who uses whom.
pub type Uses<'a> = BTreeSet<(&'a str, &'a str)>;

/// The knots of a graph: the largest sets in which each reaches each other.
pub fn knots<'a>(uses: &Uses<'a>) -> Vec<BTreeSet<&'a str>> {
    let graph = DiGraphMap::<&str, ()>::from_edges(uses.iter().copied());
    let sets = tarjan_scc(&graph).into_iter().filter(|set| set.len() > 1);
    sets.map(BTreeSet::from_iter).collect()
}

/// A shortest circle through `first` that stays in a knot.
pub fn circle<'a>(uses: &Uses<'a>, knot: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let inside = |from: &'a str| {
        uses.iter().filter(move |(user, used)| *user == from && knot.contains(used))
    };
    let search = |first: &'a str| {
        let mut came = BTreeMap::from([(first, None)]);
        let mut queue = std::collections::VecDeque::from([first]);
        while let Some(at) = queue.pop_front() {
            for (_, next) in inside(at) {
                if *next == first {
                    let mut path = vec![first];
                    let mut back = Some(at);
                    while let Some(step) = back {
                        path.push(step);
                        back = came[step];
                    }
                    path.reverse();
                    return path;
                }
                if !came.contains_key(next) {
                    came.insert(next, Some(at));
                    queue.push_back(next);
                }
            }
        }
        Vec::new()
    };
    let circles = knot.iter().map(|first| search(first)).filter(|circle| !circle.is_empty());
    circles.min_by_key(Vec::len).expect("a knot has a circle")
}

/// A longest chain, lowest last. A knot counts as one, by the name that comes first in the
/// alphabet.
pub fn longest_chain<'a>(uses: &Uses<'a>) -> Vec<&'a str> {
    let mut stands_for = BTreeMap::new();
    for knot in knots(uses) {
        let first = *knot.first().expect("a knot has members");
        stands_for.extend(knot.into_iter().map(|member| (member, first)));
    }
    let shown = |name: &'a str| stands_for.get(name).copied().unwrap_or(name);
    let mut below = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (user, used) in uses {
        let (user, used) = (shown(user), shown(used));
        if user != used {
            below.entry(user).or_default().insert(used);
        }
    }
    let mut chains = BTreeMap::new();
    let tops: Vec<&str> = below.keys().copied().collect();
    tops.into_iter()
        .map(|top| chain(top, &below, &mut chains))
        .max_by_key(Vec::len)
        .unwrap_or_default()
}

fn chain<'a>(
    top: &'a str,
    below: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    known: &mut BTreeMap<&'a str, Vec<&'a str>>,
) -> Vec<&'a str> {
    if let Some(chain) = known.get(top) {
        return chain.clone();
    }
    let under = below.get(top).into_iter().flatten();
    let longest = under.map(|next| chain(next, below, known)).max_by_key(Vec::len);
    let whole: Vec<&str> = std::iter::once(top).chain(longest.unwrap_or_default()).collect();
    known.insert(top, whole.clone());
    whole
}

#[test]
fn a_chain_has_no_knot() {
    let uses = Uses::from([("a", "b"), ("b", "c"), ("a", "c")]);
    assert!(knots(&uses).is_empty());
    assert_eq!(longest_chain(&uses), ["a", "b", "c"]);
}

#[test]
fn a_knot_shows_its_shortest_circle_and_counts_as_one_floor() {
    let uses = Uses::from([("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("c", "b"), ("d", "e")]);
    let knots = knots(&uses);
    assert_eq!(knots, [BTreeSet::from(["b", "c", "d"])]);
    assert_eq!(circle(&uses, &knots[0]), ["b", "c", "b"]);
    assert_eq!(longest_chain(&uses), ["a", "b", "e"]);
}
