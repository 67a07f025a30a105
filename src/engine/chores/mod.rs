//! What nobody's own slabs ask for, done a few steps at a time in slow calls, whoever makes them.

mod abandon;
mod round;
