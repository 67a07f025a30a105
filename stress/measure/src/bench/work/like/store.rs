//! `like/key-value`: a table of entries. An entry is three blocks: its link, its key, its value.

use std::ptr;
use std::slice;

use drystone_workloads::splitmix::splitmix;

use crate::bench::work::like::meter::{Meter, counted};
use crate::bench::work::passes::Work;

/// Keys that are asked for.
const KEYS: u64 = 20_000;
/// Lists that they hang in.
const LISTS: usize = 16_384;
const REQUESTS: usize = 60_000;
/// Of a pass.
const CALLS: u64 = 55_788;

/// A pass is 60,000 requests: 55 in a hundred look a value up, 35 set one, 10 delete an entry. Keys
/// have 16 to 40 bytes, values 8 to 4,095, log-uniform. Small numbers are asked for more often.
pub(super) fn key_value() -> Work {
    let mut seed = 9;
    let requests: Vec<Request> = (0..REQUESTS).map(|_| Request::new(&mut seed)).collect();
    counted(CALLS, move |meter| {
        let mut store = Store::new(meter);
        let mut pass = move |meter: &mut Meter| {
            requests.iter().for_each(|request| store.serve(meter, *request));
        };
        // From here on every pass begins with the entries with which it ends.
        pass(meter);
        Box::new(pass)
    })
}

/// What is asked of the store.
#[derive(Clone, Copy)]
struct Request {
    number: u32,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Get,
    /// A value of so many bytes.
    Set(u32),
    Delete,
}

impl Request {
    fn new(seed: &mut u64) -> Self {
        let (one, two) = (splitmix(seed), splitmix(seed));
        // The square of a uniform number between 0 and 1 is more often small.
        let uniform = u128::from(one >> 16);
        let number = ((uniform * uniform * u128::from(KEYS)) >> 96) as u32;
        let base = 8_u64 << (two % 9);
        let kind = match (two >> 32) % 100 {
            0..55 => Kind::Get,
            55..90 => Kind::Set((base + (two >> 40) % base) as u32),
            _ => Kind::Delete,
        };
        Self { number, kind }
    }
}

struct Entry {
    next: *mut Entry,
    number: u32,
    size: u32,
    key: *mut u8,
    value: *mut u8,
}

/// Bytes of a key.
fn key_bytes(number: u32) -> usize {
    16 + number as usize % 25
}

/// The byte that a key or a value is full of.
fn filling(number: u32, size: u32) -> u8 {
    (number ^ number >> 8 ^ size) as u8
}

struct Store {
    lists: *mut *mut Entry,
}

impl Store {
    fn new(meter: &mut Meter) -> Self {
        Self { lists: meter.calloc(LISTS * size_of::<*mut Entry>()).cast() }
    }

    fn serve(&mut self, meter: &mut Meter, request: Request) {
        let number = request.number;
        let hash = splitmix(&mut u64::from(number));
        // SAFETY: the lists are live, and as many as `LISTS`. A link leads to a live entry, or to
        // none; an entry's key and value are live as long as it, and have the bytes that it says.
        unsafe {
            let mut link = self.lists.add(hash as usize % LISTS);
            while !(*link).is_null() && !is(*link, number) {
                link = &raw mut (**link).next;
            }
            match (request.kind, (*link).is_null()) {
                (Kind::Get, false) => checked(*link),
                (Kind::Set(size), true) => *link = entry(meter, number, size),
                (Kind::Set(size), false) => {
                    checked(*link);
                    meter.free((**link).value);
                    (**link).value = filled(meter, size as usize, filling(number, size));
                    (**link).size = size;
                }
                (Kind::Delete, false) => {
                    let Entry { next, key, value, .. } = (*link).read();
                    checked(*link);
                    [key, value, (*link).cast()].into_iter().for_each(|block| meter.free(block));
                    *link = next;
                }
                (Kind::Get | Kind::Delete, true) => {}
            }
        }
    }
}

/// A block that is full of a byte.
fn filled(meter: &mut Meter, size: usize, byte: u8) -> *mut u8 {
    let block = meter.malloc(size);
    // SAFETY: the block has as many bytes.
    unsafe { block.write_bytes(byte, size) };
    block
}

fn entry(meter: &mut Meter, number: u32, size: u32) -> *mut Entry {
    let key = filled(meter, key_bytes(number), filling(number, 0));
    let value = filled(meter, size as usize, filling(number, size));
    let block = meter.malloc(size_of::<Entry>()).cast::<Entry>();
    // SAFETY: the block is as large as an entry, and aligned as malloc's are.
    unsafe { block.write(Entry { next: ptr::null_mut(), number, size, key, value }) };
    block
}

/// Whether an entry's key is the number's, byte by byte if the numbers agree.
///
/// # Safety
/// The entry is live.
unsafe fn is(entry: *mut Entry, number: u32) -> bool {
    // SAFETY: the entry is live; so is its key, which has as many bytes.
    unsafe {
        (*entry).number == number && full_of((*entry).key, key_bytes(number), filling(number, 0))
    }
}

/// Panics if an entry's value is not what was set.
///
/// # Safety
/// The entry is live.
unsafe fn checked(entry: *mut Entry) {
    // SAFETY: the entry is live; so is its value, which has as many bytes.
    unsafe {
        let Entry { number, size, value, .. } = *entry;
        let right = full_of(value, size as usize, filling(number, size));
        assert!(right, "a value of {size} bytes was overwritten");
    }
}

/// # Safety
/// `block` is live and has `size` bytes.
unsafe fn full_of(block: *mut u8, size: usize, byte: u8) -> bool {
    // SAFETY: the block is live and has `size` bytes, which were written.
    let bytes = unsafe { slice::from_raw_parts(block, size) };
    // Without an early end, which would be looked for at every byte.
    bytes.iter().fold(0, |other, one| other | (one ^ byte)) == 0
}
