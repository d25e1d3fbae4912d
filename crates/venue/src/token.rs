//! What is signed of a token (RFC 7515, RFC 7519). It is made anew for each request, so its two texts are written as they
//! come, and not from a tree.

use data_encoding::BASE64URL_NOPAD;

use crate::{Algorithm, json::write_text};

/// What a member of a header or of claims says.
pub(crate) enum Claim<'a> {
    Text(&'a str),
    Number(u64),
    Texts(&'a [&'a str]),
}

/// The first two parts, without blanks. The header begins with the algorithm and the type, and goes on with `more`.
pub(crate) fn token(
    algorithm: Algorithm,
    more: &[(&str, Claim<'_>)],
    claims: &[(&str, Claim<'_>)],
) -> String {
    let header = [
        ("alg", Claim::Text(name(algorithm))),
        ("typ", Claim::Text("JWT")),
    ];
    let mut json = String::with_capacity(256);
    let mut token = String::with_capacity(512);
    write(&mut json, header.iter().chain(more));
    BASE64URL_NOPAD.encode_append(json.as_bytes(), &mut token);
    token.push('.');
    json.clear();
    write(&mut json, claims.iter());
    BASE64URL_NOPAD.encode_append(json.as_bytes(), &mut token);
    token
}

fn write<'a>(out: &mut String, members: impl Iterator<Item = &'a (&'a str, Claim<'a>)>) {
    let mut before = '{';
    for (name, claim) in members {
        out.push(before);
        before = ',';
        write_text(name, out);
        out.push(':');
        match claim {
            Claim::Text(text) => write_text(text, out),
            Claim::Number(number) => out.push_str(&number.to_string()),
            Claim::Texts(texts) => {
                let mut before = '[';
                for text in *texts {
                    out.push(before);
                    before = ',';
                    write_text(text, out);
                }
                out.push(']');
            }
        }
    }
    out.push('}');
}

// RFC 7518.
const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha256 => "HS256",
        Algorithm::HmacSha384 => "HS384",
        Algorithm::HmacSha512 => "HS512",
        Algorithm::RsaPkcs1Sha256 => "RS256",
        Algorithm::Ed25519 => "EdDSA",
        Algorithm::EcdsaP256Sha256 => "ES256",
        Algorithm::Secp256k1Digest => "ES256K",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_token_are_what_another_writer_makes_of_them() {
        let token = token(
            Algorithm::EcdsaP256Sha256,
            &[("kid", Claim::Text("a \"quoted\" \\ key"))],
            &[
                ("nbf", Claim::Number(1_700_000_000)),
                ("uris", Claim::Texts(&["GET x", "é"])),
            ],
        );
        let parts: Vec<_> = token
            .split('.')
            .map(|part| {
                String::from_utf8(BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
            })
            .collect();
        let header = r#"{"alg":"ES256","typ":"JWT","kid":"a \"quoted\" \\ key"}"#;
        assert_eq!(
            parts,
            [header, r#"{"nbf":1700000000,"uris":["GET x","é"]}"#]
        );
        let read: serde_json::Value = serde_json::from_str(&parts[0]).unwrap();
        assert_eq!(read["kid"], "a \"quoted\" \\ key");
    }
}
