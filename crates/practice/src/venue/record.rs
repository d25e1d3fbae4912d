//! The venue's own record: every request that reached it, in order, with what it came to.
//!
//! Tests ask it to show that nothing arrived. An entry is made in the same step as the effect, so there is no
//! executed request without one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::request::Received;

/// One request and its end.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// Counts from 1.
    seq: u64,
    /// When it arrived, by the machine's clock, milliseconds since 1970.
    time_ms: u64,
    peer: String,
    method: String,
    path: String,
    query: String,
    body: String,
    headers: BTreeMap<String, String>,
    /// `binance`, `kraken` or `coinbase`.
    dialect: &'static str,
    /// The key that the request named.
    api_key: Option<String>,
    /// Signature, time, key, address and permission were good and the venue did what was asked.
    accepted: bool,
    /// Binance's error number, 0 where there was none.
    code: i32,
    /// The dialect's word for the error, if there was one.
    error: Option<String>,
    /// The HTTP status that was sent; 0 where the connection was cut instead.
    status: u16,
    /// What was asked, in words.
    operation: String,
    /// The fault that was ordered for it, if one was.
    fault: Option<String>,
}

/// How a request ended.
pub(crate) struct End {
    pub(crate) dialect: &'static str,
    pub(crate) api_key: Option<String>,
    pub(crate) accepted: bool,
    pub(crate) code: i32,
    pub(crate) error: Option<String>,
    pub(crate) status: u16,
    pub(crate) operation: String,
    pub(crate) fault: Option<String>,
}

/// The entries, and the file that they are appended to.
#[derive(Default)]
pub(crate) struct Record {
    entries: Vec<Entry>,
    file: Option<File>,
}

impl Record {
    /// A record which is also appended to `record.jsonl` in this folder.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("record.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            entries: Vec::new(),
            file: Some(file),
        })
    }

    /// Adds a request with its end.
    pub(crate) fn add(&mut self, request: &Received, end: End) -> io::Result<()> {
        let entry = Entry {
            seq: self.entries.len() as u64 + 1,
            time_ms: request.at_us / 1000,
            peer: request.peer.to_string(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: String::from_utf8_lossy(&request.query).into_owned(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            headers: request.headers.iter().cloned().collect(),
            dialect: end.dialect,
            api_key: end.api_key,
            accepted: end.accepted,
            code: end.code,
            error: end.error,
            status: end.status,
            operation: end.operation,
            fault: end.fault,
        };
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(&entry)?;
            line.push(b'\n');
            file.write_all(&line)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All entries, oldest first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
