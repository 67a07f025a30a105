//! Pages in a real browser: at the widths of a phone, a tablet and a desk nothing sticks out, every
//! plot is there, and a click does what it should.

mod browser;
mod comparison;
mod site;
