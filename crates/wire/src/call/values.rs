//! Values, for whoever is let through to them.

use serde::{Deserialize, Serialize};

use super::grant::Purpose;
use crate::SecretText;

calls! {
    /// The values that references name, in their order: all of them, or a failure that names every reference that is none.
    ReadValues = "item.values" -> ReadOut {
        /// `tk://environment/item/field`, at most [`MAX_REFERENCES`].
        references: Vec<String>,
        /// What for; one for which a value is read ([`Purpose::is_reading`]).
        purpose: Purpose,
        /// Fail where a person would have to be asked.
        no_interaction: bool,
    }
}

/// References of one call.
pub const MAX_REFERENCES: usize = 256;

/// Values that were read out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadOut {
    /// One for each reference.
    pub values: Vec<ReadValue>,
    /// Whether the person wants to be told of safer ways (`hints` in the configuration).
    pub hints: bool,
}

/// A value.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadValue {
    /// It.
    pub value: SecretText,
    /// Whether it is secret, so that it must not be seen in output.
    pub is_secret: bool,
    /// Whether it signs requests, so that the proxy could use it instead of the program.
    pub signs: bool,
}
