//! One type per kind of secret. None of them is `Clone`, `Copy`, `Serialize` or `Deref`, and `Debug` says only what kind
//! it is. Each exposure stands under a comment `// EXPOSE: why, and to whom`, so that `grep EXPOSE` is the audit.

use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroize;

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident: $inner:ty),+ $(,)?) => {$(
        $(#[$doc])*
        pub struct $name(SecretBox<$inner>);

        impl $name {
            /// Takes the value over; its old place is wiped.
            #[must_use]
            pub fn new(mut value: $inner) -> Self {
                let kept = Self(SecretBox::init_with_mut(|place: &mut $inner| place.clone_from(&value)));
                value.zeroize();
                kept
            }

            /// The value, for the shortest time. Write `// EXPOSE:` above the call.
            #[must_use]
            pub fn expose(&self) -> &$inner { self.0.expose_secret() }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(concat!(stringify!($name), "(hidden)")) }
        }
    )+};
}

secrets! {
    /// A card's or token's PIN.
    Pin: String,
    /// A software device's passphrase.
    Passphrase: String,
    /// The secret half of an API credential, as the venue printed it.
    ApiSecret: String,
    /// What a client of the proxy shows with every request.
    AccessToken: String,
    /// A key or another secret without a text form.
    SecretBytes: Vec<u8>,
}

impl AccessToken {
    /// Whether both are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        // EXPOSE: to the comparison alone.
        subtle::ConstantTimeEq::ct_eq(self.expose().as_bytes(), shown.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_the_kind_and_not_the_value() {
        assert_eq!(format!("{:?}", Pin::new("123456".into())), "Pin(hidden)");
    }

    #[test]
    fn a_token_matches_only_itself() {
        let token = AccessToken::new("tkc_abc".into());
        assert!(token.matches("tkc_abc"));
        assert!(!token.matches("tkc_abd") && !token.matches("tkc_ab") && !token.matches(""));
    }
}
