//! What every reader gives: rows of the source, and the items that are proposed for them.

use std::{fmt, ops::Range};

use touchkeep_core::text::{quoted, visible};
use zeroize::Zeroizing;

/// Bytes of a source that is text.
pub const MAX_TEXT_BYTES: usize = 48 << 20;
/// Rows of one source.
pub const MAX_ROWS: usize = 100_000;
/// Fields of one item, and tags: what a vault's item has room for.
pub(crate) const MAX_FIELDS: usize = 48;
const MAX_TAGS: usize = 32;
const MAX_TAG_BYTES: usize = 64;
/// Bytes of one value: what a vault's field holds, without the word before it.
pub const MAX_VALUE_BYTES: usize = (64 << 10) - 16;
/// How deep JSON and XML may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value, wiped when it goes. `Debug` is not derived from it.
pub type Text = Zeroizing<String>;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word, as it is typed.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word means.
            #[must_use]
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word() == word)
            }
        }
    };
}

words! {
    /// What a source is written in.
    Format {
        /// `KEY=VALUE` lines.
        Dotenv = "env",
        /// `keys.json` of ccxt's command line.
        Ccxt = "ccxt",
        /// `config.json` of freqtrade.
        Freqtrade = "freqtrade",
        /// 1Password's archive.
        OnePux = "1pux",
        /// Bitwarden's JSON, plain or protected with a password.
        Bitwarden = "bitwarden",
        /// KeePassXC's CSV.
        KeepassCsv = "keepassxc-csv",
        /// KeePass 2 XML, which KeePassXC writes, too.
        KeepassXml = "keepass-xml",
        /// `credentials` or `config` of the AWS command line.
        Aws = "aws",
        /// A folder of `pass` or `passage`.
        PasswordStore = "pass",
        /// What `touchkeep export` writes.
        Touchkeep = "touchkeep",
    }
}

words! {
    /// What an item is.
    Kind {
        /// A key of an exchange.
        ExchangeKey = "exchange-key",
        /// A key or token of anything else.
        ApiKey = "api-key",
        /// A client of OAuth 2.
        OauthClient = "oauth-client",
        /// The seed of one-time passwords.
        OtpSeed = "otp-seed",
        /// A private key of SSH, or in PEM.
        SshKey = "ssh-key",
        /// Text.
        Note = "note",
        /// A user name and a password.
        Login = "login",
    }
}

/// One field of a proposed item.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// `[a-z0-9][a-z0-9_-]{0,63}`.
    pub name: String,
    /// Whether it is to be hidden.
    pub secret: bool,
    /// The value.
    pub value: Text,
    /// Where it stands in the source, where it can be replaced there.
    pub span: Option<Range<usize>>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.secret { "secret" } else { "plain" };
        write!(f, "{}({kind}, {} bytes)", self.name, self.value.len())
    }
}

/// What could become an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What a person will call it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The venue, for an exchange's key.
    pub venue: Option<String>,
    /// What the key may do, where somebody said so.
    pub class: Option<String>,
    /// The venue account, where somebody said so.
    pub key_set: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When it was made, in milliseconds since 1970, where the source says so.
    pub created: Option<u64>,
    /// After how many days it is to be rotated, where the source says so.
    pub rotate_after_days: Option<u32>,
    /// When its values were seen in plaintext, where an export of ours says so.
    pub plaintext_seen: Option<u64>,
    /// Anything, where an export of ours says so.
    pub note: String,
    /// Its fields. The chief secret is called `secret`.
    pub fields: Vec<Field>,
}

impl Proposal {
    /// An item without fields.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            venue: None,
            class: None,
            key_set: None,
            tags: Vec::new(),
            created: None,
            rotate_after_days: None,
            plaintext_seen: None,
            note: String::new(),
            fields: Vec::new(),
        }
    }

    /// A field's value.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One row of the source: an entry, a line, a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is: `line 3`, `entry 2`.
    pub place: String,
    /// What it is called there. Never a value.
    pub label: String,
    /// The item that it goes into, by its index, or why it goes into none.
    pub outcome: Result<usize, Reason>,
    /// What a person should know: a field that is called otherwise here, a file that stays behind.
    pub remarks: Vec<Remark>,
}

/// Why a row becomes no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In words.
    pub words: String,
    /// Whether there was something in it that somebody could miss.
    pub loses: bool,
}

/// Something to know of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// In words.
    pub words: String,
    /// Whether something of the row is not taken over.
    pub loses: bool,
}

/// All that a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// What it was read as.
    pub format: Format,
    /// The proposed items.
    pub items: Vec<Proposal>,
    /// The rows, in the source's order.
    pub rows: Vec<Row>,
}

impl Import {
    pub(crate) const fn new(format: Format) -> Self {
        Self {
            format,
            items: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(
        &mut self,
        place: String,
        label: &str,
        outcome: Result<usize, Reason>,
    ) -> &mut Row {
        let at = self.rows.len();
        self.rows.push(Row {
            place,
            label: label.to_owned(),
            outcome,
            remarks: Vec::new(),
        });
        #[expect(clippy::indexing_slicing, reason = "it was pushed one line above")]
        &mut self.rows[at]
    }

    /// A row with an item of its own.
    pub(crate) fn item(&mut self, place: String, mut built: Built) {
        built.tidy_tags();
        let label = built.proposal.name.clone();
        let outcome = match built.refusal() {
            Some(reason) => Err(reason),
            None => {
                self.items.push(built.proposal);
                Ok(self.items.len() - 1)
            }
        };
        self.row(place, &label, outcome).remarks = built.remarks;
    }

    /// A row that becomes no item.
    pub(crate) fn left(&mut self, place: String, label: &str, words: &str, loses: bool) {
        let reason = Reason {
            words: words.to_owned(),
            loses,
        };
        let _row = self.row(place, label, Err(reason));
    }
}

/// An item that is being put together.
pub(crate) struct Built {
    pub(crate) proposal: Proposal,
    pub(crate) remarks: Vec<Remark>,
    /// Whether it is an item without a field and a note, too: for its tags, or because it is one of ours.
    pub(crate) is_kept_bare: bool,
}

impl Built {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        let name = name.trim();
        let name = if name.is_empty() { "unnamed" } else { name };
        Self {
            proposal: Proposal::new(name, kind),
            remarks: Vec::new(),
            is_kept_bare: false,
        }
    }

    /// Adds a field under the name that fits its label; an empty value is none.
    pub(crate) fn add(
        &mut self,
        label: &str,
        secret: bool,
        value: Text,
        span: Option<Range<usize>>,
    ) {
        // One too many is enough to be refused.
        if value.is_empty() || self.proposal.fields.len() > MAX_FIELDS {
            return;
        }
        if span.is_some() && is_reference(&value) {
            self.remark(format!("{} is a reference already.", visible(label)), false);
            return;
        }
        let taken = |name: &str| self.proposal.field(name).is_some();
        let name = crate::names::field_name(label, taken);
        if name != label {
            let plain = label.trim().to_lowercase().replace(' ', "-");
            if plain != name {
                self.remark(
                    format!("The field {} is called {name} here.", quoted(label)),
                    false,
                );
            }
        }
        self.proposal.fields.push(Field {
            name,
            secret,
            value,
            span,
        });
    }

    pub(crate) fn remark(&mut self, words: impl Into<String>, loses: bool) {
        self.remarks.push(Remark {
            words: words.into(),
            loses,
        });
    }

    // A tag is one word.
    fn tidy_tags(&mut self) {
        let mut tags: Vec<String> = Vec::new();
        for tag in std::mem::take(&mut self.proposal.tags) {
            let word = tag.split(|c: char| c.is_whitespace() || c.is_control());
            let word = word
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("-");
            let end = word.floor_char_boundary(MAX_TAG_BYTES);
            let word = word.get(..end).unwrap_or_default().to_owned();
            if !word.is_empty() && !tags.contains(&word) {
                tags.push(word);
            }
        }
        if tags.len() > MAX_TAGS {
            self.remark(
                format!("Of its {} tags the first {MAX_TAGS} are kept.", tags.len()),
                true,
            );
            tags.truncate(MAX_TAGS);
        }
        self.proposal.tags = tags;
    }

    /// The item, or why it cannot be kept.
    pub(crate) fn fitting(self) -> Result<Proposal, Reason> {
        match self.refusal() {
            Some(reason) => Err(reason),
            None => Ok(self.proposal),
        }
    }

    // What cannot be kept is said, and not cut short.
    fn refusal(&self) -> Option<Reason> {
        let refuse = |words: String| Some(Reason { words, loses: true });
        let fields = &self.proposal.fields;
        if fields.len() > MAX_FIELDS {
            return refuse(format!("It has more than {MAX_FIELDS} fields."));
        }
        if let Some(long) = fields
            .iter()
            .find(|field| field.value.len() > MAX_VALUE_BYTES)
        {
            return refuse(format!(
                "Its field {} is longer than {} KiB.",
                long.name,
                MAX_VALUE_BYTES >> 10
            ));
        }
        if self.proposal.note.len() > MAX_VALUE_BYTES {
            return refuse(format!(
                "Its note is longer than {} KiB.",
                MAX_VALUE_BYTES >> 10
            ));
        }
        let is_empty = fields.is_empty() && self.proposal.note.is_empty();
        (is_empty && !self.is_kept_bare).then(|| Reason {
            words: "There is nothing in it.".to_owned(),
            loses: false,
        })
    }
}

/// Whether a value is only a name of one.
pub(crate) fn is_reference(value: &str) -> bool {
    let schemes = ["tk://", "op://", "pass://"];
    schemes.iter().any(|scheme| value.starts_with(scheme))
}

/// A value of its own.
pub(crate) fn text(value: &str) -> Text {
    Zeroizing::new(value.to_owned())
}
