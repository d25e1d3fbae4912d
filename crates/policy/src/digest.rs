//! What an approval is for: a digest over everything of a request that a person was shown.

use aws_lc_rs::digest::{Context, SHA256};
use touchkeep_core::ItemId;
use touchkeep_venue::Private;

const DOMAIN: &[u8] = b"touchkeep request digest v1";

/// SHA-256 over venue, method, path, query, body and the key that signs. Each part stands behind its length as 8 bytes
/// big-endian, the domain too, so that no two requests have the same encoding; behind them, where a header says it, until
/// when it may be carried out, in milliseconds as 8 bytes. Time, window and signature are not in it: they are put in when it
/// is signed, and a person's yes may come later.
#[must_use]
pub fn request_digest(private: &Private, key: ItemId) -> [u8; 32] {
    let operation = private.operation();
    let mut context = Context::new(&SHA256);
    for part in [
        DOMAIN,
        operation.venue.as_bytes(),
        operation.method.as_bytes(),
        operation.path.as_bytes(),
        &private.judged_query(),
        &private.judged_body(),
        key.0.as_bytes(),
    ] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    if let Some(until) = private.expires() {
        context.update(&until.0.to_be_bytes());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use touchkeep_core::Id;
    use touchkeep_venue::{Decoded, Request, Venue, binance::Binance, venue};

    use super::*;

    fn digest(path: &str, query: &str, body: &str, key: u8) -> [u8; 32] {
        let request = Request {
            method: "POST".into(),
            path: path.into(),
            query: query.into(),
            content_type: Some("application/x-www-form-urlencoded".into()),
            body: body.into(),
            expires: None,
        };
        let Decoded::Private(private) = Binance.decode(&request).unwrap() else {
            panic!("public");
        };
        request_digest(&private, ItemId(Id::from_bytes([key; 16])))
    }

    // python3: sha256(b"".join(struct.pack(">Q", len(p)) + p for p in parts))
    #[test]
    fn the_encoding_is_the_one_written_down() {
        let hex: String = digest("/api/v3/order", "symbol=A", "quantity=1", 7)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "7dae55f07f56cc40856d956f4b8d6218ecfe3b1debf0832483ff98d10809d177"
        );
    }

    #[test]
    fn each_part_counts_and_parts_do_not_run_together() {
        let one = digest("/api/v3/order", "symbol=A", "quantity=1", 7);
        for other in [
            digest("/api/v3/order/test", "symbol=A", "quantity=1", 7),
            digest("/api/v3/order", "symbol=B", "quantity=1", 7),
            digest("/api/v3/order", "symbol=A", "quantity=2", 7),
            digest("/api/v3/order", "symbol=A&quantity=1", "", 7),
            digest("/api/v3/order", "", "symbol=A&quantity=1", 7),
            digest("/api/v3/order", "symbol=A", "quantity=1", 8),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn until_when_it_may_be_carried_out_counts() {
        let ending = |expires: Option<&str>| {
            let request = Request {
                method: "POST".into(),
                path: "/api/v4/spot/orders".into(),
                query: Vec::new(),
                content_type: Some("application/json".into()),
                body: br#"{"currency_pair":"BTC_USDT"}"#.to_vec(),
                expires: expires.map(str::to_owned),
            };
            match venue("gate").unwrap().decode(&request).unwrap() {
                Decoded::Private(private) => {
                    request_digest(&private, ItemId(Id::from_bytes([7; 16])))
                }
                Decoded::Public(_) => panic!("public"),
            }
        };
        let one = ending(Some("1800000000000"));
        assert_eq!(one, ending(Some("1800000000000")));
        assert_ne!(one, ending(Some("1800000000001")));
        assert_ne!(one, ending(None));
    }

    #[test]
    fn the_clients_own_authentication_does_not_count() {
        assert_eq!(
            digest("/api/v3/order", "symbol=A", "quantity=1", 7),
            digest(
                "/api/v3/order",
                "timestamp=5&symbol=A",
                "quantity=1&recvWindow=9&signature=x",
                7
            ),
        );
    }
}
