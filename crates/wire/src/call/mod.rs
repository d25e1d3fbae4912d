//! What a client may call on `agent.sock`, and a front end on `ui.sock` too. One type per call: its parameters, with the
//! method's name and the result's type beside them. A file per topic.

use serde::{Serialize, de::DeserializeOwned};

/// Parameters of a call.
pub trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// The method's name.
    const METHOD: &'static str;
    /// What comes back.
    type Result: Serialize + DeserializeOwned + Send + 'static;
}

// The calls of a topic, and `METHODS`: their names.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $method:literal -> $result:ty { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, ::serde::Serialize, ::serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }
            impl $crate::Call for $name { const METHOD: &'static str = $method; type Result = $result; }
        )+
        pub(super) const METHODS: &[&str] = &[$($method),+];
    };
}

mod arm;
mod audit;
mod client;
mod device;
mod grant;
mod import;
mod item;
mod outline;
mod policy;
mod prompt;
mod recover;
mod remind;
mod session;
mod values;
mod vault;
mod venue;
mod webhook;

pub use arm::*;
pub use audit::*;
pub use client::*;
pub use device::*;
pub use grant::*;
pub use import::*;
pub use item::*;
pub use outline::*;
pub use policy::*;
pub use prompt::*;
pub use recover::*;
pub use remind::*;
pub use session::*;
pub use values::*;
pub use vault::*;
pub use venue::*;
pub use webhook::*;

/// Every method by topic, for completeness tests and the allow-lists of channels.
pub const METHODS: &[&[&str]] = &[
    arm::METHODS,
    audit::METHODS,
    client::METHODS,
    device::METHODS,
    grant::METHODS,
    import::METHODS,
    item::METHODS,
    outline::METHODS,
    policy::METHODS,
    prompt::METHODS,
    recover::METHODS,
    remind::METHODS,
    session::METHODS,
    values::METHODS,
    vault::METHODS,
    venue::METHODS,
    webhook::METHODS,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_calls_share_a_method() {
        let all: Vec<&str> = METHODS.concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    // A topic that is not in the list would be a topic that no allow-list knows.
    #[test]
    fn every_topic_file_is_in_the_list() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/call");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, METHODS.len() + 1, "and mod.rs");
    }
}
