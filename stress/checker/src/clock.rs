//! A clock that is cheap to read, for what is written down at every call.
//!
//! `Instant` takes some twenty nanoseconds on x86-64, most of them for what its readers here do not
//! need. Where the kernel itself keeps time by the processor's time stamp counter, so that all
//! cores agree on it, that is read instead, and scaled by a factor measured once. Times of two
//! threads can be compared to the nanosecond; against other clocks they are off by one part in some
//! thousands at most.

use std::time::Instant;

/// The clock. Copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    began: Instant,
    counter: Option<Counter>,
}

/// The processor's counter.
#[derive(Clone, Copy, Debug)]
struct Counter {
    began: u64,
    /// Nanoseconds of 2^32 steps.
    scale: u64,
}

impl Ticks {
    /// A clock that stands at 0 now, or did a millisecond ago.
    pub fn begin() -> Self {
        Self { began: Instant::now(), counter: Counter::measured() }
    }

    /// Nanoseconds since it began.
    #[inline]
    pub fn nanoseconds(self) -> u64 {
        match self.counter {
            Some(counter) => counter.nanoseconds(),
            None => self.began.elapsed().as_nanos() as u64,
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Counter {
    /// None where the kernel does not rely on it.
    fn measured() -> Option<Self> {
        const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        const LEAST: u128 = 1_000_000;
        if std::fs::read_to_string(SOURCE).ok()?.trim() != "tsc" {
            return None;
        }
        let (instant, began) = (Instant::now(), Self::read());
        loop {
            let (elapsed, now) = (instant.elapsed().as_nanos(), Self::read());
            if elapsed >= LEAST {
                let steps = u128::from(now.checked_sub(began)?);
                let scale = u64::try_from((elapsed << 32).checked_div(steps)?).ok()?;
                return Some(Self { began, scale });
            }
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction; the kernel that relies on the counter
        // has not forbidden it to programs.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    #[inline]
    fn nanoseconds(self) -> u64 {
        // A core that is a few steps behind has not gone back in time.
        let steps = Self::read().saturating_sub(self.began);
        ((u128::from(steps) * u128::from(self.scale)) >> 32) as u64
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Counter {
    fn measured() -> Option<Self> {
        None
    }

    fn nanoseconds(self) -> u64 {
        // Never: there is none.
        self.began * self.scale
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_goes_as_fast_as_other_clocks_and_never_back() {
        let (ticks, instant) = (Ticks::begin(), Instant::now());
        let (first, mut last) = (ticks.nanoseconds(), 0);
        let began = instant.elapsed();
        while instant.elapsed() < Duration::from_millis(50) {
            let now = ticks.nanoseconds();
            assert!(now >= last, "{last} {now}");
            last = now;
        }
        // Whoever is interrupted between two clocks sees the one late: never by half, many times in
        // a row.
        let here = (ticks.nanoseconds() - first) as f64;
        let there = (instant.elapsed() - began).as_nanos() as f64;
        assert!(here < 2.0 * there && there < 2.0 * here, "{here} ns and {there} ns");
    }
}
