//! `like/json`: a document is read into a tree of blocks, written again, and dropped.
//!
//! ```text
//! array ─► [ object, ... ]      object ─► [ key, value, key, value, ... ]      text ─► "..."
//! ```
//!
//! A node is a block, and so is what hangs on it: an array that doubles as it grows, or a text.

use std::fmt::Write;
use std::slice;

use drystone_workloads::splitmix::splitmix;

use crate::bench::work::like::meter::{Meter, counted};
use crate::bench::work::passes::Work;

const RECORDS: usize = 500;
/// Of a pass.
const CALLS: u64 = 36_732;

/// A pass reads a document of 500 records, some 120 KiB, writes it into a buffer that doubles,
/// compares it with the original and drops both.
pub(super) fn json() -> Work {
    let text = text();
    counted(CALLS, move |_| {
        Box::new(move |meter| {
            let mut reader = Reader { text: text.as_bytes(), at: 0 };
            let root = reader.value(meter);
            let mut out = List::<u8>::new(meter, 256);
            // SAFETY: the tree is whole; it is dropped once, and not used again.
            unsafe {
                write(meter, &mut out, root);
                assert_eq!(out.items(), text.as_bytes(), "the document was changed");
                dropped(meter, root);
            }
            out.free(meter);
        })
    })
}

/// A document without white space, of objects, arrays, texts and whole numbers.
fn text() -> String {
    let mut seed = 5;
    let mut text = String::with_capacity(160 << 10);
    text.push('[');
    for record in 0..RECORDS {
        let comma = if record == 0 { "" } else { "," };
        let word = splitmix(&mut seed);
        let _ = write!(text, "{comma}{{\"id\":{record},\"name\":\"name {word:x}\",\"note\":\"");
        (0..word % 12).for_each(|_| text.push_str("some words "));
        text.push_str("\",\"values\":[");
        for number in 0..word % 17 {
            let comma = if number == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}", word >> (number + 20));
        }
        let _ = write!(text, "],\"place\":{{\"x\":{},\"y\":{}}}}}", word >> 50, word >> 40 & 1023);
    }
    text.push(']');
    text
}

/// An array on the heap.
struct List<T> {
    at: *mut T,
    count: usize,
    room: usize,
}

impl<T: Copy> List<T> {
    fn new(meter: &mut Meter, room: usize) -> Self {
        Self { at: meter.malloc(room * size_of::<T>()).cast(), count: 0, room }
    }

    fn push(&mut self, meter: &mut Meter, item: T) {
        self.extend(meter, &[item]);
    }

    fn extend(&mut self, meter: &mut Meter, items: &[T]) {
        let count = self.count + items.len();
        // SAFETY: the array is live and this list's alone; it has `room` places, aligned as
        // malloc's blocks are, of which the first `count` are filled.
        unsafe {
            if count > self.room {
                self.room = count.next_power_of_two();
                self.at = meter.realloc(self.at.cast(), self.room * size_of::<T>()).cast();
            }
            self.at.add(self.count).copy_from_nonoverlapping(items.as_ptr(), items.len());
        }
        self.count = count;
    }

    fn items(&self) -> &[T] {
        // SAFETY: the array is live and this list's alone; its first `count` places are filled.
        unsafe { slice::from_raw_parts(self.at, self.count) }
    }

    fn free(self, meter: &mut Meter) {
        // SAFETY: the array is live, and not used again.
        unsafe { meter.free(self.at.cast()) }
    }
}

/// A value.
enum Node {
    Number(u64),
    Text(List<u8>),
    Array(List<*mut Node>),
    /// Keys, which are texts, and values in turn.
    Object(List<*mut Node>),
}

/// Of RFC 8259 what the document has.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, meter: &mut Meter) -> *mut Node {
        let node = match self.text[self.at] {
            b'"' => Node::Text(self.string(meter)),
            b'[' => Node::Array(self.list(meter, b']')),
            b'{' => Node::Object(self.list(meter, b'}')),
            _ => Node::Number(self.number()),
        };
        let block = meter.malloc(size_of::<Node>()).cast::<Node>();
        // SAFETY: the block is as large as a node, and aligned as malloc's are.
        unsafe { block.write(node) };
        block
    }

    fn string(&mut self, meter: &mut Meter) -> List<u8> {
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().position(|byte| *byte == b'"').expect("a text has an end");
        self.at += length + 2;
        // Its block is as long as the text, which may be empty.
        let mut text = List::new(meter, length.max(1));
        text.extend(meter, &rest[..length]);
        text
    }

    fn list(&mut self, meter: &mut Meter, end: u8) -> List<*mut Node> {
        let mut list = List::new(meter, 4);
        self.at += 1;
        while self.text[self.at] != end {
            let item = self.value(meter);
            list.push(meter, item);
            self.at += usize::from(matches!(self.text[self.at], b',' | b':'));
        }
        self.at += 1;
        list
    }

    fn number(&mut self) -> u64 {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit());
        let (count, value) = digits.fold((0, 0_u64), |(count, value), digit| {
            (count + 1, value * 10 + u64::from(digit - b'0'))
        });
        assert!(count > 0, "a number has digits");
        self.at += count;
        value
    }
}

/// Writes a tree.
///
/// # Safety
/// `node` is the root of a live tree.
unsafe fn write(meter: &mut Meter, out: &mut List<u8>, node: *mut Node) {
    // SAFETY: every node of a live tree is live.
    match unsafe { &*node } {
        Node::Number(number) => {
            let mut digits = [0; 20];
            let mut at = digits.len();
            let mut rest = *number;
            while rest > 0 || at == digits.len() {
                at -= 1;
                digits[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            out.extend(meter, &digits[at..]);
        }
        Node::Text(text) => {
            out.push(meter, b'"');
            out.extend(meter, text.items());
            out.push(meter, b'"');
        }
        Node::Array(list) | Node::Object(list) => {
            // SAFETY: the node is live, as its tree is.
            let object = matches!(unsafe { &*node }, Node::Object(_));
            out.push(meter, if object { b'{' } else { b'[' });
            for (place, item) in list.items().iter().enumerate() {
                match (place, object && place % 2 == 1) {
                    (0, _) => {}
                    (_, true) => out.push(meter, b':'),
                    (_, false) => out.push(meter, b','),
                }
                // SAFETY: a node's items are live, as their tree is.
                unsafe { write(meter, out, *item) };
            }
            out.push(meter, if object { b'}' } else { b']' });
        }
    }
}

/// Frees a tree.
///
/// # Safety
/// `node` is the root of a live tree, not used again.
unsafe fn dropped(meter: &mut Meter, node: *mut Node) {
    // SAFETY: every node of a live tree is live, and in one list: each is read and freed once.
    unsafe {
        match node.read() {
            Node::Number(_) => {}
            Node::Text(text) => text.free(meter),
            Node::Array(list) | Node::Object(list) => {
                list.items().iter().for_each(|item| dropped(meter, *item));
                list.free(meter);
            }
        }
        meter.free(node.cast());
    }
}
