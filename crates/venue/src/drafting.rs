//! What the drafts of all venues are made of.

use touchkeep_core::{UnixMillis, time::rfc3339};

use crate::{
    CannotSign, Credential, Json, Moment, Parameter, Part, Place, Private, Scheme, ToSign,
    dialect::{Body, Expiry, Slot, with_query},
    form,
    reading::MAX_WINDOW_MS,
};

/// The scheme of a credential, if the venue has it.
pub(crate) fn scheme_of(
    schemes: &[Scheme],
    credential: &Credential<'_>,
) -> Result<Scheme, CannotSign> {
    // A header ends at a line's end; nothing that a venue gives out holds one.
    let plain = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !plain(credential.key) || !credential.passphrase.is_none_or(plain) {
        return Err(CannotSign::Header);
    }
    let mut known = schemes.iter();
    known
        .find(|scheme| scheme.algorithm == credential.algorithm)
        .copied()
        .ok_or(CannotSign::Algorithm)
}

impl Scheme {
    /// Bytes to sign in this way, and where the signature goes.
    pub(crate) fn part(self, bytes: impl Into<Vec<u8>>, place: Place) -> Part {
        Part {
            bytes: bytes.into(),
            algorithm: self.algorithm,
            encoding: self.encoding,
            place,
        }
    }
}

impl Place {
    /// The header, with nothing but the signature in it.
    pub(crate) const fn header(name: &'static str) -> Self {
        Self::Header(name, String::new(), String::new())
    }
}

impl Moment {
    pub(crate) fn nonce(&self) -> Result<String, CannotSign> {
        self.nonce
            .map(|nonce| nonce.to_string())
            .ok_or(CannotSign::NoNonce)
    }

    pub(crate) fn random_hex(&self) -> Result<String, CannotSign> {
        let unique = self.unique.ok_or(CannotSign::NoUnique)?;
        Ok(data_encoding::HEXLOWER.encode(&unique))
    }

    /// Version 4 (RFC 9562).
    pub(crate) fn uuid(&self) -> Result<String, CannotSign> {
        let mut bytes = self.unique.ok_or(CannotSign::NoUnique)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        let parts = parts.map(|part| hex.get(part).unwrap_or_default());
        Ok(parts.join("-"))
    }

    pub(crate) fn millis(&self) -> String {
        self.now.0.to_string()
    }

    pub(crate) fn seconds(&self) -> String {
        (self.now.0 / 1000).to_string()
    }

    /// `2023-11-14T22:13:20.000Z`.
    pub(crate) fn iso(&self) -> String {
        let whole = rfc3339(self.now);
        format!("{}.{:03}Z", whole.trim_end_matches('Z'), self.now.0 % 1000)
    }
}

impl Private {
    pub(crate) fn method(&self) -> &str {
        &self.operation.method
    }

    pub(crate) fn path(&self) -> &str {
        &self.operation.path
    }

    /// The query's parameters, where none of them is ours.
    pub(crate) fn given_query(&self) -> Vec<(&str, &str)> {
        let given = self.given(&self.query);
        given.map(|p| (p.name.as_str(), p.value.as_str())).collect()
    }

    /// The slots with our values in their places.
    pub(crate) fn written<'a>(
        &self,
        slots: impl IntoIterator<Item = &'a Slot>,
        now: UnixMillis,
        window_ms: u32,
        nonce: &str,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        for slot in slots {
            if out.capacity() == 0 {
                out.reserve(256);
            }
            match slot {
                Slot::Given(place) => {
                    if let Some(Parameter { name, value }) = self.operation.parameters.get(*place) {
                        form::append(&mut out, name, value);
                    }
                }
                Slot::Timestamp => form::append_number(&mut out, "timestamp", now.0),
                Slot::RecvWindow(window) => {
                    let window = window.unwrap_or(window_ms).min(MAX_WINDOW_MS);
                    form::append_number(&mut out, "recvWindow", window.into());
                }
                Slot::Nonce => form::append(&mut out, "nonce", nonce),
            }
        }
        out
    }

    /// Path and query as they are sent, where none of the parameters is ours.
    pub(crate) fn target(&self) -> String {
        with_query(self.path().to_owned(), &self.judged_query())
    }

    pub(crate) fn text_body(&self) -> String {
        match &self.body {
            Body::Json(json) => json.to_text(),
            // `form::append` writes ASCII only.
            Body::Form(_) => String::from_utf8_lossy(&self.judged_body()).into_owned(),
        }
    }

    pub(crate) const fn json(&self) -> Option<&Json> {
        match &self.body {
            Body::Json(json) => Some(json),
            Body::Form(_) => None,
        }
    }

    /// The members of a JSON body; none where there is no body.
    pub(crate) fn members(&self) -> Result<&[(String, Json)], CannotSign> {
        match &self.body {
            Body::Json(Json::Members(members)) => Ok(members),
            Body::Form(slots) if slots.is_empty() => Ok(&[]),
            _ => Err(CannotSign::Values),
        }
    }

    /// Everything but what hangs on the way of signing.
    pub(crate) fn to_sign(
        &self,
        query: Vec<u8>,
        body: Vec<u8>,
        mut headers: Vec<(&'static str, String)>,
        parts: Vec<Part>,
    ) -> ToSign {
        let typed = headers.iter().any(|(name, _)| *name == "Content-Type");
        if !body.is_empty() && !typed {
            headers.push(("Content-Type", self.content_type().to_owned()));
        }
        if let Some(Expiry { header, at }) = self.expires {
            headers.push((header, at.0.to_string()));
        }
        ToSign {
            method: self.operation.method.clone(),
            origin: self.origin,
            path: self.operation.path.clone(),
            query,
            body,
            headers,
            parts,
        }
    }

    /// The same, for venues that put nothing into query and body.
    pub(crate) fn as_given(
        &self,
        headers: Vec<(&'static str, String)>,
        parts: Vec<Part>,
    ) -> ToSign {
        self.to_sign(
            self.judged_query(),
            self.text_body().into_bytes(),
            headers,
            parts,
        )
    }

    const fn content_type(&self) -> &'static str {
        match self.body {
            Body::Json(_) => crate::reading::JSON,
            Body::Form(_) => crate::reading::FORM,
        }
    }
}

/// `a=1&b=2`, percent-encoded.
pub(crate) fn encoded(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in parameters {
        form::append(&mut out, name, value);
    }
    out
}

/// `a=1&b=2`, as it is.
pub(crate) fn raw(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters.iter().map(|(n, v)| format!("{n}={v}")).collect();
    pairs.join("&")
}

/// Members of a JSON text of ours.
pub(crate) fn members<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Members(members.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Text in a JSON text of ours.
pub(crate) fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

/// A number in a JSON text of ours.
pub(crate) fn number(number: u64) -> Json {
    Json::Number(number.to_string())
}
