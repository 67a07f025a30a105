//! The end of what a child prints on standard error, read while it runs.

use std::io::Read;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::model::finding::BACKTRACE_FOLLOWS;

/// Of what the allocator prints, the end.
const MOST: usize = 2048;
/// The same with a backtrace behind it.
const MOST_AND_BACKTRACE: usize = 16 << 10;

/// The end of what a child prints on standard error.
pub(super) struct ErrorTail {
    printed: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when the child, and whoever inherited its standard error, are gone.
    ended: Receiver<()>,
}

impl ErrorTail {
    /// Reads to the end, in a thread.
    pub(super) fn of(mut errors: impl Read + Send + 'static) -> Self {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let (open, ended) = mpsc::channel();
        let all = Arc::clone(&printed);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut part) {
                let mut printed = all.lock().unwrap_or_else(PoisonError::into_inner);
                printed.extend_from_slice(&part[..read]);
                let surplus = printed.len().saturating_sub(MOST_AND_BACKTRACE);
                printed.drain(..surplus);
            }
            drop(open);
        });
        Self { printed, ended }
    }

    /// All of it, or what there is by now if somebody else holds the other end: the words, and the
    /// backtrace behind them.
    pub(super) fn wait(&self) -> (String, Option<String>) {
        let _ = self.ended.recv_timeout(Duration::from_secs(2));
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        let printed = String::from_utf8_lossy(&printed);
        let (words, backtrace) = match printed.split_once(BACKTRACE_FOLLOWS) {
            Some((words, backtrace)) => (words, Some(backtrace.to_owned())),
            None => (&*printed, None),
        };
        let surplus = words.floor_char_boundary(words.len().saturating_sub(MOST));
        (words[surplus..].to_owned(), backtrace)
    }
}
