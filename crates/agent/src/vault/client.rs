//! Clients of the proxy: who holds a token, and which key set it opens. The vault keeps a hash of the token and never the
//! token itself, so that a reader of the vault cannot act as a bot.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use touchkeep_core::{AccessToken, ClientId, Code, UnixMillis, text::visible};
use touchkeep_vault::Unlocked;
use touchkeep_venue::OperationKind;
use touchkeep_wire::Failure;

use crate::caller::Caller;

/// The setting of the vault that holds them.
pub(crate) const SETTING: &str = "clients";

/// The setting that says for good that a client was revoked: a word of its own, which no list of clients overwrites.
pub(crate) fn revoked_setting(client: ClientId) -> String {
    format!("client.{client}.revoked")
}

const PREFIX: &str = "tkc_";
// 160 bits: 32 letters of base32, and nothing to guess.
const TOKEN_BYTES: usize = 20;

/// A program that may use a key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) name: String,
    pub(crate) key_set: String,
    pub(crate) created: UnixMillis,
    token_sha256: String,
    /// The only venues that it may use it at; empty where all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) venues: Vec<String>,
    /// The only kinds of operations that it may ask for; empty where all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kinds: Vec<OperationKind>,
}

/// A client that ends with the process that asked for it. The vault never sees it.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) client: Client,
    pub(crate) caller: Caller,
}

impl Client {
    /// A new client, and its token.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub(crate) fn new(
        name: String,
        key_set: String,
        created: UnixMillis,
    ) -> Result<(Self, AccessToken), Failure> {
        let mut random = [0u8; TOKEN_BYTES];
        getrandom::fill(&mut random).map_err(|_| {
            Failure::new(
                Code::System,
                "The operating system has no randomness.",
                "No token was made. A machine that has just started, or a sandbox without getrandom(2), is like that; make it once that is mended.",
            )
        })?;
        let token = format!(
            "{PREFIX}{}",
            BASE32_NOPAD.encode(&random).to_ascii_lowercase()
        );
        zeroize::Zeroize::zeroize(&mut random);
        let client = Self {
            id: ClientId::random(),
            name,
            key_set,
            created,
            token_sha256: hash(&token),
            venues: Vec::new(),
            kinds: Vec::new(),
        };
        Ok((client, AccessToken::new(token)))
    }

    /// Who may ask by what a vault says. Whom any copy has revoked does not come back with a list of another one, which did not
    /// know of it.
    pub(crate) fn of_vault(vault: &Unlocked) -> Vec<Self> {
        let mut clients = Self::read_all(vault.setting(SETTING));
        clients.retain(|client| vault.setting(&revoked_setting(client.id)).is_none());
        clients
    }

    /// Reads the setting. One that cannot be read lets nobody in.
    fn read_all(setting: Option<&str>) -> Vec<Self> {
        let Some(text) = setting else {
            return Vec::new();
        };
        serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::error!(%error, "the vault's clients cannot be read, so none is let in");
            Vec::new()
        })
    }

    /// The setting's text.
    pub(crate) fn write_all(clients: &[Self]) -> String {
        serde_json::to_string(clients).unwrap_or_default()
    }

    /// Whose token it is. The hashes are compared as they are: who sees where two of them differ learns nothing of a
    /// token, because he cannot choose a hash.
    pub(crate) fn of_token<'a>(clients: &'a [Self], token: &str) -> Option<&'a Self> {
        if !token.starts_with(PREFIX) {
            return None;
        }
        let shown = hash(token);
        clients.iter().find(|client| client.token_sha256 == shown)
    }

    /// Whether it may do whatever its key set can.
    pub(crate) const fn is_bound_to_nothing(&self) -> bool {
        !self.key_set.is_empty() && self.venues.is_empty() && self.kinds.is_empty()
    }

    /// Why this client may not do that, where it may not: nothing of it is judged any further.
    pub(crate) fn is_beyond(&self, venue: &str, kind: Option<OperationKind>) -> Option<String> {
        if self.key_set.is_empty() {
            return Some("this client hands over webhooks, and has no keys".to_owned());
        }
        if !self.venues.is_empty() && !self.venues.iter().any(|known| known == venue) {
            return Some(format!(
                "this client is not let in to {0}; one that is: touchkeep proxy add NAME --venue {0}",
                visible(venue)
            ));
        }
        let kind = kind.filter(|kind| !self.kinds.is_empty() && !self.kinds.contains(kind))?;
        // A client that may do what nobody here knows is nothing to be let in for a mistyped path.
        if kind == OperationKind::Unknown {
            return Some(
                "this endpoint is not in Touchkeep's tables, so what it does is not known, and this client may do known things only"
                    .to_owned(),
            );
        }
        Some(format!(
            "this client may not do anything of the kind {kind}; one that may: touchkeep proxy add NAME --kind {kind}"
        ))
    }

    /// Whether a person means this one.
    pub(crate) fn is_called(&self, name_or_id: &str) -> bool {
        self.name == name_or_id || self.id.to_string() == name_or_id
    }
}

fn hash(token: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, token.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> (Client, AccessToken) {
        Client::new(name.into(), "main".into(), UnixMillis(1)).unwrap()
    }

    #[test]
    fn a_token_is_its_clients_alone_and_not_in_the_vault() {
        let ((a, token_a), (b, token_b)) = (client("a"), client("b"));
        let text = Client::write_all(&[a.clone(), b.clone()]);
        assert_eq!(token_a.expose().len(), 36);
        assert!(!text.contains(token_a.expose()) && !text.contains(token_b.expose()));
        let clients = Client::read_all(Some(&text));
        assert_eq!(Client::of_token(&clients, token_a.expose()), Some(&a));
        assert_eq!(Client::of_token(&clients, token_b.expose()), Some(&b));
        assert_eq!(Client::of_token(&clients, "tkc_"), None);
        assert_eq!(Client::of_token(&clients, &hash(token_a.expose())), None);
    }

    #[test]
    fn a_bound_client_goes_no_further() {
        let (mut bound, _) = client("a");
        let mut webhooks = bound.clone();
        webhooks.key_set = String::new();
        assert!(webhooks.is_beyond("okx", None).is_some());
        assert_eq!(bound.is_beyond("okx", Some(OperationKind::Withdraw)), None);
        bound.venues = vec!["kraken".into()];
        bound.kinds = vec![OperationKind::Read];
        assert_eq!(bound.is_beyond("kraken", Some(OperationKind::Read)), None);
        assert_eq!(bound.is_beyond("kraken", None), None);
        assert!(
            bound
                .is_beyond("kraken", Some(OperationKind::Trade))
                .is_some()
        );
        let unknown = bound.is_beyond("kraken", Some(OperationKind::Unknown));
        let unknown = unknown.unwrap();
        assert!(unknown.contains("not in Touchkeep's tables"), "{unknown}");
        assert!(!unknown.contains("proxy add"), "{unknown}");
        assert!(bound.is_beyond("okx", None).is_some());
        let read = Client::read_all(Some(&Client::write_all(std::slice::from_ref(&bound))));
        assert_eq!(read, [bound]);
    }

    #[test]
    fn clients_that_cannot_be_read_let_nobody_in() {
        assert!(Client::read_all(Some("[{}]")).is_empty());
        assert!(Client::read_all(None).is_empty());
    }
}
