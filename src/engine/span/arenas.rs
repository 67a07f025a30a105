//! Arenas: reserved when no free span fits, and given back when the OS fails at something.

use core::ptr;

use crate::engine::classes::UNIT;
use crate::engine::span::{ARENAS, Arena, NO_ARENA, Spans, Unit};
use crate::os::Os;
use crate::sync::step;

const SMALLEST_ARENA: usize = 64;
const LARGEST_ARENA: usize = 16384;

/// Arenas are committed up to multiples of this address: the size of a huge page, which the kernel
/// gives for a part that may be touched as a whole.
const AHEAD: usize = 2 << 20;

impl Spans {
    #[cold]
    pub(super) fn grow<O: Os>(&mut self, os: &O, units: usize) -> Option<()> {
        let place = self.place_for_an_arena()?;
        let mut size = self.units.clamp(SMALLEST_ARENA, LARGEST_ARENA).max(units);
        loop {
            let start = os.reserve_bare(size * UNIT, UNIT);
            if !start.is_null() {
                let records = os.reserve_guarded(records_bytes(size), crate::os::PAGE);
                let records = records.cast::<Unit>();
                if !records.is_null() {
                    self.add(place, start.expose_provenance(), size, records);
                    return Some(());
                }
                // SAFETY: mapped above, and nobody knows it. If that fails, it is lost.
                unsafe { os.unmap(start, size * UNIT) };
            }
            if size == units {
                return None;
            }
            // Where there is little left, others need some of it too.
            size = (size / 4).max(units);
        }
    }

    fn place_for_an_arena(&self) -> Option<usize> {
        if self.count < ARENAS {
            return Some(self.count);
        }
        self.arenas.iter().position(|arena| arena.units == 0)
    }

    fn add(&mut self, arena: usize, start: usize, units: usize, records: *mut Unit) {
        // SAFETY: `units + 2` zeroed records: a zeroed one is a used span of no length. The first
        // and the last are the guards.
        let records = unsafe {
            for unit in 1..=units {
                (*records.add(unit)).arena = arena as u16;
            }
            records.add(1)
        };
        // `units` last: a forked child must find records where there are units.
        self.arenas[arena] = Arena { start, units: 0, committed: 0, records };
        step();
        self.arenas[arena].units = units;
        self.count = self.count.max(arena + 1);
        self.units += units;
        self.free += units;
        // SAFETY: all its records are there.
        unsafe { self.insert(records, units) };
    }

    /// Sees to it that the first `units` units from the record `from` on may be touched, and some
    /// behind them. False when the OS fails to.
    ///
    /// # Safety
    /// They are the records of so many units of one arena.
    pub(super) unsafe fn commit<O: Os>(&mut self, os: &O, from: *mut Unit, units: usize) -> bool {
        // SAFETY: a record of an arena.
        let arena = &mut self.arenas[usize::from(unsafe { (*from).arena })];
        // SAFETY: both are records of the same arena.
        let end = unsafe { from.offset_from(arena.records) } as usize + units;
        if end <= arena.committed {
            return true;
        }
        let ahead = (arena.start + end * UNIT).next_multiple_of(AHEAD) - arena.start;
        let end = (ahead / UNIT).min(arena.units);
        let start = ptr::with_exposed_provenance_mut(arena.start + arena.committed * UNIT);
        // SAFETY: units of the arena.
        if !unsafe { os.commit(start, (end - arena.committed) * UNIT) } {
            return false;
        }
        arena.committed = end;
        true
    }

    /// Gives the arenas back in which no span is used. Returns their bytes.
    pub fn release_empty<O: Os>(&mut self, os: &O) -> usize {
        let mut bytes = 0;
        for index in 0..self.count {
            let Arena { start, units, records, .. } = self.arenas[index];
            // SAFETY: the record of the first unit is a span's head.
            let empty =
                units > 0 && unsafe { (*records).free && (*records).length as usize == units };
            if !empty {
                continue;
            }
            // First: a forked child must not look for records that are gone.
            self.arenas[index].units = 0;
            step();
            // SAFETY: the records are those of one free span, on the list of its length, and both
            // mappings are whole ones of this OS. Records that the OS does not take back are lost.
            unsafe {
                if !os.unmap(ptr::with_exposed_provenance_mut(start), units * UNIT) {
                    self.arenas[index].units = units;
                    continue;
                }
                self.unlink(records);
                self.dirty -= (0..units).filter(|&unit| (*records.add(unit)).is_dirty()).count();
                os.unmap_guarded(records.sub(1).cast(), records_bytes(units));
            }
            self.units -= units;
            self.free -= units;
            self.arenas[index] = NO_ARENA;
            bytes += units * UNIT;
        }
        while self.count > 0 && self.arenas[self.count - 1].units == 0 {
            self.count -= 1;
        }
        bytes
    }

    /// Gives every arena back. Nobody uses a span any more.
    pub fn release<O: Os>(&mut self, os: &O) {
        for arena in self.arenas[..self.count].iter().filter(|arena| arena.units > 0) {
            // SAFETY: whole mappings of this OS; the spans end.
            unsafe {
                os.unmap(ptr::with_exposed_provenance_mut(arena.start), arena.units * UNIT);
                os.unmap_guarded(arena.records.sub(1).cast(), records_bytes(arena.units));
            }
        }
        *self = Spans::new();
    }
}

/// Bytes that the records of `units` units take, with their guards.
fn records_bytes(units: usize) -> usize {
    ((units + 2) * size_of::<Unit>()).next_multiple_of(crate::os::PAGE)
}
