//! With which checks the same operations are carried out: none, all, and each alone.

use drystone_checker::checks::{Check, Checks};

/// The place of each in [`all`].
pub const OFF: usize = 0;
/// As above.
pub const ON: usize = 1;

/// The checks of each run of a round, none of them twice.
pub fn all() -> Vec<Checks> {
    let mut setups = vec![Checks::NONE, Checks::ALL];
    for &check in Check::ALL {
        for setup in [check.needs(), check.needs().with(check)] {
            if !setups.contains(&setup) {
                setups.push(setup);
            }
        }
    }
    setups
}

/// The places in [`all`] of what a check adds to, and of that with it.
///
/// # Panics
/// Never: `all` has both for every check.
pub fn of(check: Check) -> (usize, usize) {
    let all = all();
    let place = |setup| all.iter().position(|one| *one == setup).expect("all has every setup");
    (place(check.needs()), place(check.needs().with(check)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_stands_alone_or_beside_what_it_needs() {
        assert_eq!((all()[OFF], all()[ON]), (Checks::NONE, Checks::ALL));
        for &check in Check::ALL {
            let (without, with) = of(check);
            assert_eq!(all()[without].with(check), all()[with]);
            assert_eq!(all()[without], check.needs());
        }
    }
}
