//! Background work: what no slab's owner asks for. It is done a few steps at a time in slow calls,
//! whoever makes them.

mod abandon;
mod scan;
