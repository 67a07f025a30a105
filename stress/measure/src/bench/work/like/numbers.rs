//! `like/cfrac`: numbers are factored by continued fractions. Every result is a block of its own,
//! freed when the next is known, and every third relation is kept in a chain.

use std::ptr;

use crate::bench::work::like::meter::{Meter, counted};
use crate::bench::work::passes::Work;

/// Factors of what is factored: the primes of the numbers ten thousand to a hundred million. Their
/// products are below 2^64, so the product of two remainders fits.
const PRODUCTS: [(u128, u128); 3] =
    [(104_729, 1_299_709), (7_368_787, 104_395_301), (179_424_673, 2_038_074_743)];
/// Of a pass.
const CALLS: u64 = 288_624;

/// A pass factors three numbers of 37 to 59 bits.
pub(super) fn cfrac() -> Work {
    counted(CALLS, |_| {
        Box::new(|meter| {
            for (one, other) in PRODUCTS {
                let factor = factor(meter, one * other);
                assert!(factor == one || factor == other, "{factor} divides nothing here");
            }
        })
    })
}

/// A number on the heap: how many words, then the words, the lowest first.
#[derive(Clone, Copy)]
struct Number(*mut u32);

const WORD: u32 = u32::BITS;

impl Number {
    fn new(meter: &mut Meter, value: u128) -> Self {
        let words = (u128::BITS - value.leading_zeros()).div_ceil(WORD);
        let block = meter.malloc((words as usize + 1) * size_of::<u32>()).cast::<u32>();
        // SAFETY: the block has room for the count and as many words.
        unsafe {
            block.write(words);
            for word in 0..words {
                block.add(word as usize + 1).write((value >> (word * WORD)) as u32);
            }
        }
        Self(block)
    }

    fn value(self) -> u128 {
        // SAFETY: numbers are live until `free`, which ends them.
        unsafe {
            let words = self.0.read();
            let word = |word: u32| u128::from(self.0.add(word as usize + 1).read());
            (0..words).fold(0, |value, at| value | word(at) << (at * WORD))
        }
    }

    fn free(self, meter: &mut Meter) {
        // SAFETY: the number is live, and not used again.
        unsafe { meter.free(self.0.cast()) }
    }

    /// Puts another value in its place.
    fn set(&mut self, meter: &mut Meter, value: u128) {
        let new = Number::new(meter, value);
        std::mem::replace(self, new).free(meter);
    }
}

/// The square of `root` is `square`, or minus that, in the numbers modulo the one that is factored.
struct Relation {
    root: Number,
    square: Number,
    negative: bool,
    next: *mut Relation,
}

/// A factor of `number`, which is the product of two primes: the fraction of its square root is
/// expanded until a denominator at an even place is a square, and gives one.
fn factor(meter: &mut Meter, number: u128) -> u128 {
    let root = number.isqrt();
    let n = Number::new(meter, number);
    let mut p = Number::new(meter, 0);
    let mut q = Number::new(meter, 1);
    let mut a = Number::new(meter, root);
    let mut before = Number::new(meter, 1);
    let mut now = Number::new(meter, root);
    let mut chain = ptr::null_mut();
    let mut found = None;
    for place in 1_u32.. {
        let product = Number::new(meter, a.value() * q.value());
        p.set(meter, product.value() - p.value());
        product.free(meter);
        let square = Number::new(meter, p.value() * p.value());
        let rest = Number::new(meter, n.value() - square.value());
        square.free(meter);
        q.set(meter, rest.value() / q.value());
        rest.free(meter);
        if place % 3 == 0 {
            chain = kept(meter, now.value(), q.value(), place % 2 == 1, chain);
        }
        let even = q.value().isqrt();
        if place % 2 == 0 && even * even == q.value() {
            let common = common_divisor(meter, now.value() + number - even, number);
            found = (common != 1 && common != number).then_some(common);
        }
        if found.is_some() {
            break;
        }
        a.set(meter, (root + p.value()) / q.value());
        let product = Number::new(meter, a.value() * now.value());
        let next = Number::new(meter, (product.value() + before.value()) % n.value());
        product.free(meter);
        std::mem::replace(&mut before, std::mem::replace(&mut now, next)).free(meter);
    }
    checked(meter, chain, number);
    for one in [n, p, q, a, before, now] {
        one.free(meter);
    }
    found.expect("the expansion ends with a factor")
}

/// A relation before those of `next`.
fn kept(
    meter: &mut Meter,
    root: u128,
    square: u128,
    negative: bool,
    next: *mut Relation,
) -> *mut Relation {
    let (root, square) = (Number::new(meter, root), Number::new(meter, square));
    let block = meter.malloc(size_of::<Relation>()).cast::<Relation>();
    // SAFETY: the block is as large as a relation, and aligned as malloc's are.
    unsafe { block.write(Relation { root, square, negative, next }) };
    block
}

/// Looks at every relation of a chain, and frees it.
fn checked(meter: &mut Meter, mut chain: *mut Relation, number: u128) {
    while !chain.is_null() {
        // SAFETY: a chain's relations are live and in it once; each is read before it is freed.
        unsafe {
            let Relation { root, square, negative, next } = chain.read();
            let power = root.value() * root.value() % number;
            let expected = if negative { number - square.value() } else { square.value() };
            assert_eq!(power, expected % number, "a relation does not hold");
            root.free(meter);
            square.free(meter);
            meter.free(chain.cast());
            chain = next;
        }
    }
}

/// Euclid's algorithm, each remainder a number.
fn common_divisor(meter: &mut Meter, one: u128, other: u128) -> u128 {
    let (mut one, mut other) = (Number::new(meter, one), Number::new(meter, other));
    while other.value() != 0 {
        let rest = Number::new(meter, one.value() % other.value());
        std::mem::replace(&mut one, std::mem::replace(&mut other, rest)).free(meter);
    }
    let divisor = one.value();
    one.free(meter);
    other.free(meter);
    divisor
}
