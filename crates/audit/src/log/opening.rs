//! How a log is made, and opened: with a look at all rows since the last checkpoint.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex, RwLock},
};

use rusqlite::Connection;
use touchkeep_core::{Clock, Id, SystemClock};

use super::{Log, Shared, signed::last_checkpoint};
use crate::{
    checkpoint::ORIGIN_PREFIX,
    error::{OpenError, RecordError},
    pen::Pen,
    schema::{self, APPLICATION_ID, CreateError, Description, VERSION},
    seal::TagKey,
    tree::{Frontier, Head},
    walk::{Damage, Sessions, Stop, What, blame, is_damage, walk},
    writer::Writer,
};

impl Log {
    /// Makes an empty log of the vault with this id, whose bodies `recipient` (`age1…`, X25519) can read.
    ///
    /// # Errors
    /// When there is a file already, the id or the recipient is none, or the file cannot be made.
    pub fn create(path: &Path, vault: &str, recipient: &str) -> Result<Self, OpenError> {
        Self::create_at(path, vault, recipient, Arc::new(SystemClock))
    }

    /// [`Log::create`] with another clock.
    ///
    /// # Errors
    /// As there.
    pub fn create_at(
        path: &Path,
        vault: &str,
        recipient: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let parsed = parse_recipient(recipient)?;
        let prefix = origin_prefix(vault)?;
        let (tag_key, file) = TagKey::generate(&parsed).map_err(|_| OpenError::Encryption)?;
        let description = Description {
            origin: format!("{prefix}{}", Id::random()),
            recipient: recipient.to_owned(),
            tag_key: file,
        };
        let db = schema::create(path, &description).map_err(|error| match error {
            CreateError::File(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenError::Exists(path.to_owned())
            }
            CreateError::File(error) => OpenError::File(error),
            CreateError::Database(error) => storage(error),
        })?;
        Self::start(
            db,
            path,
            description,
            parsed,
            Frontier::default(),
            Some(tag_key),
            clock,
        )
    }

    /// Opens the log of the vault with this id, encrypted to `recipient`, and checks the rows since the last checkpoint.
    ///
    /// # Errors
    /// When there is none, it is another vault's, newer than this program, or not as it was left.
    pub fn open(path: &Path, vault: &str, recipient: &str) -> Result<Self, OpenError> {
        Self::open_at(path, vault, Some(recipient), Arc::new(SystemClock))
    }

    /// Opens the log while the vault is locked: it is encrypted to the recipient that it names itself. Compare
    /// [`Log::recipient`] with the vault's as soon as that is open.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_locked(path: &Path, vault: &str) -> Result<Self, OpenError> {
        Self::open_at(path, vault, None, Arc::new(SystemClock))
    }

    /// [`Log::open`] and [`Log::open_locked`] with another clock.
    ///
    /// # Errors
    /// As there.
    pub fn open_at(
        path: &Path,
        vault: &str,
        recipient: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let prefix = origin_prefix(vault)?;
        if !fs::exists(path).map_err(OpenError::File)? {
            return Err(OpenError::NotFound(path.to_owned()));
        }
        let db = open_ours(path)?;
        let description = Description::load(&db).map_err(damaged)?;
        let other = recipient.is_some_and(|expected| expected != description.recipient);
        if other || !description.origin.starts_with(&prefix) {
            return Err(OpenError::OtherVault);
        }
        let parsed = parse_recipient(&description.recipient)?;
        let edge = check_tail(&db, &description)?;
        Self::start(db, path, description, parsed, edge, None, clock)
    }

    fn start(
        db: Connection,
        path: &Path,
        description: Description,
        recipient: age::x25519::Recipient,
        edge: Frontier,
        tag_key: Option<TagKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = fs::canonicalize(path).map_err(OpenError::File)?;
        let reader = schema::open_to_read(&path).map_err(storage)?;
        let signed = last_checkpoint(&reader).map_err(storage)?;
        let description = Arc::new(description);
        let writer =
            Writer::new(db, &path, Arc::clone(&description), recipient, edge).map_err(|error| {
                match error {
                    RecordError::Storage(error) => OpenError::Storage(error),
                    _ => OpenError::NotFound(path.clone()),
                }
            })?;
        Ok(Self(Arc::new(Shared {
            path,
            description,
            reader: Mutex::new(reader),
            times: Mutex::default(),
            pen: Pen::new(writer, clock).map_err(OpenError::File)?,
            signed: Mutex::new(signed.map(|checkpoint| checkpoint.head)),
            tag_key: RwLock::new(tag_key),
        })))
    }
}

fn parse_recipient(recipient: &str) -> Result<age::x25519::Recipient, OpenError> {
    recipient.parse().map_err(|_| OpenError::Invalid)
}

fn origin_prefix(vault: &str) -> Result<String, OpenError> {
    let is_id = !vault.is_empty() && vault.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id
        .then(|| format!("{ORIGIN_PREFIX}{vault}/"))
        .ok_or(OpenError::Invalid)
}

fn open_ours(path: &Path) -> Result<Connection, OpenError> {
    // Reads before it writes: the file of another program is not to be changed, not even its journal mode.
    let peek = schema::open_to_read(path).map_err(damaged)?;
    match schema::format(&peek).map_err(damaged)? {
        (APPLICATION_ID, VERSION) => {}
        (APPLICATION_ID, found) if found > VERSION => return Err(OpenError::TooNew { found }),
        _ => return Err(OpenError::NotALog(path.to_owned())),
    }
    let db = schema::open(path).map_err(damaged)?;
    if !schema::is_ours(&db).map_err(damaged)? {
        return Err(OpenError::Damaged(Damage::of_file(What::Schema)));
    }
    Ok(db)
}

// Whatever was signed last must be the beginning of what is there; the rows after it must fit the tree.
fn check_tail(db: &Connection, description: &Description) -> Result<Frontier, OpenError> {
    let last = last_checkpoint(db).map_err(damaged)?;
    let signed = last.map_or(
        Head {
            size: 0,
            root: Frontier::default().head().root,
        },
        |last| last.head,
    );
    let size = schema::size(db).map_err(damaged)?;
    if size < signed.size {
        let cut = What::Cut {
            expected: signed.size,
        };
        return Err(OpenError::Damaged(Damage::at(size + 1, cut)));
    }
    let edge = Frontier::load(signed.size, |level, index| schema::node(db, level, index))
        .map_err(damaged)?;
    if edge.head() != signed {
        let rewritten = What::Rewritten { last: signed.size };
        return Err(OpenError::Damaged(Damage::at(1, rewritten)));
    }
    let sessions = Sessions::load(db, description).map_err(damaged)?;
    walk(db, &sessions, edge).map_err(|stop| match stop {
        Stop::Damaged(damage) => OpenError::Damaged(damage),
        Stop::Failed(error) => storage(error),
    })
}

fn storage(error: rusqlite::Error) -> OpenError {
    OpenError::Storage(Arc::new(error))
}

fn damaged(error: rusqlite::Error) -> OpenError {
    if !is_damage(&error) {
        return storage(error);
    }
    match blame(error, None) {
        Stop::Damaged(damage) => OpenError::Damaged(damage),
        Stop::Failed(error) => storage(error),
    }
}
