//! KuCoin Futures (`api-futures.kucoin.com`). A venue of its own: its paths are those of the spot server, and mean other
//! things there. It signs like [`super::kucoin`].

use crate::{
    CannotSign, Credential, Decoded, Moment, Private, Request, ToSign, Unreadable, Venue,
    VenueInfo,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "kucoinfutures";

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct KuCoinFutures;

fn table() -> &'static Table {
    table!("kucoinfutures")
}

impl Venue for KuCoinFutures {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            passphrase: true,
            ..Facts::new(VENUE, super::kucoin::SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner::new(VENUE, table()).decode(request)
    }

    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        super::kucoin::draft(private, credential, moment)
    }
}
