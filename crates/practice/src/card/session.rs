//! What the card knows until it is reset, loses power or another applet is selected; and selecting itself.

use super::{Card, apdu::Command, status::Status, tlv};
use std::time::Instant;

const PIV_AID: [u8; 11] = [
    0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
];
const OTP_AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01, 0x01];
const MANAGEMENT_AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17];
/// Shortest partial AID: the registered provider (ISO/IEC 7816-4, section 8.2.1.2).
const SHORTEST_AID: usize = 5;
/// Yubico's applets differ in their last bytes, so more of their names has to be there.
const SHORTEST_YUBICO_AID: usize = 7;

/// An application on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applet {
    Piv,
    /// Only there to tell the serial number, as firmware 4 does, and to be selected.
    Otp,
    /// Only there to be selected, which is how hosts give up their PIN.
    Management,
}

/// How a host proves the management key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Mutual authentication: it decrypts a block of ours, and then has one of its own encrypted.
    Witness,
    /// Single authentication: it encrypts a block of ours.
    Response,
}

/// What has been proved since the applet was selected.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) applet: Option<Applet>,
    pub(crate) pin_verified: bool,
    /// The PIN was the very last command: what the PIN policy "always" wants.
    pub(crate) pin_fresh: bool,
    pub(crate) managed: bool,
    /// The block whose knowledge proves the management key, and how it was asked for.
    pub(crate) proof: Option<(Proof, Vec<u8>)>,
    /// When a touch was last given for a key with the policy "cached".
    pub(crate) touched: Option<Instant>,
}

impl Card {
    /// Selects an applet. An unknown one leaves the selected one as it is.
    pub(super) fn select(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        if (command.p1, command.p2) != (0x04, 0x00) {
            return Err(Status::BAD_PARAMETERS);
        }
        let applet = applet(&command.data).ok_or(Status::NOT_FOUND)?;
        self.session = Session {
            applet: Some(applet),
            touched: self.session.touched,
            ..Session::default()
        };
        let (major, minor, patch) = self.memory.firmware;
        Ok(match applet {
            Applet::Piv => application_property(),
            Applet::Otp => vec![major, minor, patch, 0, 0, 0, 0],
            Applet::Management => {
                format!("Practice card - FW version {major}.{minor}.{patch}").into_bytes()
            }
        })
    }

    /// The OTP applet: slot command `10` is the serial number.
    pub(super) fn otp(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        match (command.ins, command.p1) {
            (0x01, 0x10) => Ok(self.memory.serial.to_be_bytes().to_vec()),
            _ => Err(Status::UNKNOWN_INSTRUCTION),
        }
    }
}

fn applet(aid: &[u8]) -> Option<Applet> {
    let names = |full: &[u8], shortest: usize| aid.len() >= shortest && full.starts_with(aid);
    if names(&PIV_AID, SHORTEST_AID) {
        Some(Applet::Piv)
    } else if names(&OTP_AID, SHORTEST_YUBICO_AID) {
        Some(Applet::Otp)
    } else if names(&MANAGEMENT_AID, SHORTEST_YUBICO_AID) {
        Some(Applet::Management)
    } else {
        None
    }
}

/// The application property template (SP 800-73-4 part 2, table 3): which PIV it is, and whose.
fn application_property() -> Vec<u8> {
    let (authority, identifier) = PIV_AID.split_at(SHORTEST_AID);
    let mut inner = tlv::element(&[0x4F], identifier);
    let authority = tlv::element(&[0x4F], authority);
    tlv::push(&mut inner, &[0x79], &authority);
    tlv::element(&[0x61], &inner)
}
