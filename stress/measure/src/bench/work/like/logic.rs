//! `like/espresso`: two-level logic. A cover is an array of cubes, a cube a block of one byte for
//! each input; a cover's complement is found by cofactors, whose covers live as long as a step of
//! the recursion, while cubes move on into results.

use drystone_workloads::splitmix::splitmix;

use crate::bench::work::like::meter::{Meter, counted};
use crate::bench::work::passes::Work;

const INPUTS: usize = 12;
const CUBES: usize = 24;
const FUNCTIONS: usize = 6;
/// Results that are kept before they are looked at and dropped.
const KEPT: usize = 3;
/// Of a pass.
const CALLS: u64 = 28_142;

/// What a cube asks of an input.
const ZERO: u8 = 1;
const ONE: u8 = 2;
const ANY: u8 = 3;

/// A cube's bytes.
type Literals = [u8; INPUTS];

/// A pass finds the complements of six functions of twelve inputs and 24 cubes each, and keeps the
/// last three.
pub(super) fn espresso() -> Work {
    let functions: Vec<Vec<Literals>> = (0..FUNCTIONS as u64).map(cubes).collect();
    counted(CALLS, move |_| {
        Box::new(move |meter| {
            let mut kept: Vec<(usize, Cover)> = Vec::with_capacity(KEPT + 1);
            for (number, cubes) in functions.iter().enumerate() {
                let mut function = Cover::new(meter);
                for literals in cubes {
                    let cube = cube(meter, *literals);
                    function.push(meter, cube);
                }
                let complement = complement(meter, &function);
                function.free(meter);
                kept.push((number, complement));
                if kept.len() > KEPT {
                    let (number, cover) = kept.remove(0);
                    cover.ended(meter, &functions[number]);
                }
            }
            for (number, cover) in kept {
                cover.ended(meter, &functions[number]);
            }
        })
    })
}

/// Random cubes, of whose inputs half are asked for anything.
fn cubes(seed: u64) -> Vec<Literals> {
    let mut seed = seed + 1;
    let one = |_| {
        let mut bits = splitmix(&mut seed);
        std::array::from_fn(|_| {
            let choice = [ZERO, ONE, ANY, ANY][(bits & 3) as usize];
            bits >>= 2;
            choice
        })
    };
    (0..CUBES).map(one).collect()
}

/// A cube's block.
type Cube = *mut Literals;

fn cube(meter: &mut Meter, literals: Literals) -> Cube {
    let block = meter.malloc(size_of::<Literals>()).cast::<Literals>();
    // SAFETY: the block is as large as the value, whose alignment is 1.
    unsafe { block.write(literals) };
    block
}

/// An array of cubes that owns them.
struct Cover {
    cubes: *mut Cube,
    count: usize,
    room: usize,
}

impl Cover {
    fn new(meter: &mut Meter) -> Self {
        const ROOM: usize = 4;
        let cubes = meter.malloc(ROOM * size_of::<Cube>()).cast();
        Self { cubes, count: 0, room: ROOM }
    }

    fn push(&mut self, meter: &mut Meter, cube: Cube) {
        // SAFETY: the array is live and this cover's alone; it has `room` places, of which the
        // first `count` are filled.
        unsafe {
            if self.count == self.room {
                self.room *= 2;
                let bytes = self.room * size_of::<Cube>();
                self.cubes = meter.realloc(self.cubes.cast(), bytes).cast();
            }
            self.cubes.add(self.count).write(cube);
        }
        self.count += 1;
    }

    fn cubes(&self) -> &[Cube] {
        // SAFETY: the array is live and this cover's alone; its first `count` places are filled.
        unsafe { std::slice::from_raw_parts(self.cubes, self.count) }
    }

    /// What its cubes ask.
    fn literals(&self) -> impl Iterator<Item = Literals> {
        // SAFETY: a cover's cubes are live as long as it.
        self.cubes().iter().map(|cube| unsafe { cube.read() })
    }

    /// Frees the array; the cubes live on.
    fn emptied(self, meter: &mut Meter) {
        // SAFETY: the array is live, and not used again.
        unsafe { meter.free(self.cubes.cast()) }
    }

    fn free(self, meter: &mut Meter) {
        for cube in self.cubes() {
            // SAFETY: each cube is in one cover, once, and the cover ends here.
            unsafe { meter.free(cube.cast()) }
        }
        self.emptied(meter);
    }

    /// Frees a complement, of which some minterms are looked at: each is in it or in the function.
    fn ended(self, meter: &mut Meter, function: &[Literals]) {
        const STRIDE: usize = 61;
        for minterm in (0..1 << INPUTS).step_by(STRIDE) {
            let here = self.literals().any(|cube| covers(&cube, minterm));
            let there = function.iter().any(|cube| covers(cube, minterm));
            assert!(here != there, "the complement is wrong at {minterm:b}");
        }
        self.free(meter);
    }
}

fn covers(cube: &Literals, minterm: usize) -> bool {
    cube.iter().enumerate().all(|(input, asked)| asked & (ZERO << (minterm >> input & 1)) != 0)
}

/// The minterms that a cover leaves out, as a cover.
fn complement(meter: &mut Meter, cover: &Cover) -> Cover {
    let mut result = Cover::new(meter);
    if cover.count == 0 {
        let all = cube(meter, [ANY; INPUTS]);
        result.push(meter, all);
        return result;
    }
    let Some(input) = most_asked(cover) else { return result };
    let [low, high] = [ZERO, ONE].map(|value| {
        let part = cofactor(meter, cover, input, value);
        let complement = complement(meter, &part);
        part.free(meter);
        complement
    });
    merged(meter, &mut result, low, high, input);
    result
}

/// The input that most cubes ask for a value; none where a cube asks nothing of any.
fn most_asked(cover: &Cover) -> Option<usize> {
    let mut asked = [0; INPUTS];
    for literals in cover.literals() {
        if literals == [ANY; INPUTS] {
            return None;
        }
        for (count, literal) in asked.iter_mut().zip(literals) {
            *count += usize::from(literal != ANY);
        }
    }
    (0..INPUTS).max_by_key(|input| (asked[*input], *input))
}

/// What is left of a cover where an input has a value.
fn cofactor(meter: &mut Meter, cover: &Cover, input: usize, value: u8) -> Cover {
    let mut part = Cover::new(meter);
    for mut literals in cover.literals().filter(|literals| literals[input] & value != 0) {
        literals[input] = ANY;
        let cube = cube(meter, literals);
        part.push(meter, cube);
    }
    part
}

/// Moves the cubes of both halves into `result`: those that are in both as one.
fn merged(meter: &mut Meter, result: &mut Cover, low: Cover, high: Cover, input: usize) {
    // SAFETY: the cubes are live, and each goes into `result` or is freed.
    unsafe {
        for cube in low.cubes() {
            if !high.literals().any(|other| other == cube.read()) {
                (*cube.cast::<u8>().add(input)) = ZERO;
            }
            result.push(meter, *cube);
        }
        for cube in high.cubes() {
            if low.literals().any(|other| other == cube.read()) {
                meter.free(cube.cast());
                continue;
            }
            (*cube.cast::<u8>().add(input)) = ONE;
            result.push(meter, *cube);
        }
    }
    low.emptied(meter);
    high.emptied(meter);
}
