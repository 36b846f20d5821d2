//! Native messages in Python's `logging`.
//!
//! Runtime threads never attach to Python: the thread in `memory` hands the messages over.

use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

use super::process;

struct Journal;

/// A message on its way.
pub(super) struct Entry {
    level: u8,
    logger: String,
    text: String,
}

impl Entry {
    /// Hands it over. What a handler raises is its own affair.
    pub(super) fn write(self, py: Python<'_>) -> PyResult<()> {
        let logger = py.import("logging")?.call_method1("getLogger", (self.logger,))?;
        logger.call_method1("log", (self.level, "%s", self.text)).map(drop)
    }
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("daffi")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => 40,
            Level::Warn => 30,
            Level::Info => 20,
            Level::Debug | Level::Trace => 10,
        };
        let (logger, text) = (record.target().to_owned(), record.args().to_string());
        process::current().memory().log(Entry { level, logger, text });
    }

    fn flush(&self) {}
}

/// From now on native messages go to Python.
pub(super) fn open() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where another library of this process has a logger for all of Rust.
        if log::set_logger(&Journal).is_ok() {
            log::set_max_level(LevelFilter::Debug);
        }
    });
}
