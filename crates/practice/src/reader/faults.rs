//! What goes wrong with a card, on demand: at the Nth command from now it is pulled out, answers late, or answers nonsense.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A message of the virtual reader's line carries its length in two bytes.
const LONGEST_ANSWER_BYTES: usize = 65535;

/// What happens instead of, or beside, an ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The card is pulled out as the command arrives, and does not execute it.
    RemoveBefore,
    /// The card executes the command and is pulled out before its answer leaves.
    RemoveDuring,
    /// The answer leaves, then the card is pulled out.
    RemoveAfter,
    /// The card forgets what was selected and proved, as at a reset, before it executes the command.
    Reset,
    /// The card takes this long before it starts.
    Delay(Duration),
    /// These bytes are answered; the command is not executed.
    Answer(Vec<u8>),
    /// This command is executed in the place of the one that arrived.
    Instead(Vec<u8>),
}

/// How a fault is asked for on the control socket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// Which command from now on, 1 is the next; 0 disarms.
    apdu: u64,
    /// Only commands with this instruction are counted.
    ins: Option<String>,
    then: Option<Then>,
    /// How many commands in a row; one if it is not said.
    times: Option<u64>,
    ms: Option<u64>,
    hex: Option<String>,
    sw: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    RemoveBefore,
    RemoveDuring,
    RemoveAfter,
    Reset,
    Delay,
    Garbage,
    Empty,
    Status,
    Instead,
}

/// How many commands have reached a card, and which of the next ones goes wrong.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    arrived: u64,
    armed: Option<Armed>,
}

/// What goes wrong, when, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Armed {
    /// How many commands are still to come, the first faulty one included.
    apdu: u64,
    times: u64,
    ins: Option<u8>,
    fault: Fault,
}

impl Order {
    /// What is asked for; `None` disarms.
    pub(super) fn read(self) -> Result<Option<Armed>, String> {
        let fault = match (self.apdu, self.then, self.ms, self.hex, self.sw) {
            (0, None, None, None, None) if self.times.is_none() && self.ins.is_none() => {
                return Ok(None);
            }
            (0, ..) => return Err("apdu 0 disarms and takes nothing else".to_owned()),
            (_, Some(Then::RemoveBefore), None, None, None) => Fault::RemoveBefore,
            (_, Some(Then::RemoveDuring), None, None, None) => Fault::RemoveDuring,
            (_, Some(Then::RemoveAfter), None, None, None) => Fault::RemoveAfter,
            (_, Some(Then::Reset), None, None, None) => Fault::Reset,
            (_, Some(Then::Delay), Some(ms), None, None) => Fault::Delay(Duration::from_millis(ms)),
            (_, Some(Then::Garbage), None, Some(hex), None) => Fault::Answer(bytes(&hex)?),
            (_, Some(Then::Instead), None, Some(hex), None) => Fault::Instead(bytes(&hex)?),
            (_, Some(Then::Empty), None, None, None) => Fault::Answer(Vec::new()),
            (_, Some(Then::Status), None, None, Some(sw)) => Fault::Answer(status(&sw)?),
            _ => {
                return Err(
                    "`then` is missing, or delay without ms, garbage or instead without hex, status without sw, or one of them too many"
                        .to_owned(),
                );
            }
        };
        let ins = self.ins.as_deref().map(instruction).transpose()?;
        match self.times.unwrap_or(1) {
            0 => Err("times: at least 1".to_owned()),
            times => Ok(Some(Armed {
                apdu: self.apdu,
                times,
                ins,
                fault,
            })),
        }
    }
}

impl Faults {
    /// Arms a fault in place of what was armed before, or disarms.
    pub(super) fn arm(&self, order: Option<Armed>) {
        self.lock().armed = order;
    }

    /// A command has arrived: what goes wrong with it?
    pub(super) fn arrives(&self, apdu: &[u8]) -> Option<Fault> {
        let mut state = self.lock();
        state.arrived = state.arrived.saturating_add(1);
        let armed = state.armed.as_mut()?;
        if armed.ins.is_some_and(|ins| apdu.get(1) != Some(&ins)) {
            return None;
        }
        if armed.apdu > 1 {
            armed.apdu = armed.apdu.saturating_sub(1);
            return None;
        }
        let fault = armed.fault.clone();
        armed.times = armed.times.saturating_sub(1);
        if armed.times == 0 {
            state.armed = None;
        }
        Some(fault)
    }

    /// How many commands have reached the card so far.
    pub(super) fn arrived(&self) -> u64 {
        self.lock().arrived
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let bytes = HEXLOWER_PERMISSIVE
        .decode(hex.as_bytes())
        .map_err(|error| format!("hex: {error}"))?;
    if bytes.len() > LONGEST_ANSWER_BYTES {
        return Err(format!("hex: at most {LONGEST_ANSWER_BYTES} bytes"));
    }
    Ok(bytes)
}

fn instruction(ins: &str) -> Result<u8, String> {
    match bytes(ins)?[..] {
        [ins] => Ok(ins),
        _ => Err("ins: an instruction has two hex digits".to_owned()),
    }
}

fn status(sw: &str) -> Result<Vec<u8>, String> {
    match bytes(sw) {
        Ok(word) if word.len() == 2 => Ok(word),
        _ => Err("sw: a status word has four hex digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELECT: &[u8] = &[0, 0xA4, 4, 0];
    const ATTEST: &[u8] = &[0, 0xF9, 0x83, 0];

    fn once(apdu: u64, fault: Fault) -> Option<Armed> {
        Some(Armed {
            apdu,
            times: 1,
            ins: None,
            fault,
        })
    }

    fn read(text: &str) -> Result<Option<Armed>, String> {
        serde_json::from_str::<Order>(text)
            .map_err(|error| error.to_string())?
            .read()
    }

    #[test]
    fn a_fault_strikes_the_command_that_was_counted_to_and_no_other() {
        let faults = Faults::default();
        assert_eq!(faults.arrives(SELECT), None);
        faults.arm(once(3, Fault::RemoveAfter));
        assert_eq!(faults.arrives(SELECT), None);
        assert_eq!(faults.arrives(SELECT), None);
        assert_eq!(faults.arrives(SELECT), Some(Fault::RemoveAfter));
        assert_eq!(faults.arrives(SELECT), None);
        assert_eq!(faults.arrived(), 5);
    }

    #[test]
    fn a_fault_goes_on_for_as_long_as_it_is_told_to() {
        let faults = Faults::default();
        let order = r#"{"apdu":2,"times":3,"then":"status","sw":"6100"}"#;
        faults.arm(read(order).unwrap());
        let struck = [false, true, true, true, false].map(|_| faults.arrives(SELECT).is_some());
        assert_eq!(struck, [false, true, true, true, false]);
    }

    #[test]
    fn a_fault_of_one_instruction_waits_for_it() {
        let faults = Faults::default();
        let order = r#"{"apdu":2,"ins":"f9","then":"instead","hex":"00f9820000"}"#;
        faults.arm(read(order).unwrap());
        for apdu in [ATTEST, SELECT, SELECT] {
            assert_eq!(faults.arrives(apdu), None);
        }
        let other = vec![0, 0xF9, 0x82, 0, 0];
        assert_eq!(faults.arrives(ATTEST), Some(Fault::Instead(other)));
        assert_eq!(faults.arrives(ATTEST), None);
    }

    #[test]
    fn arming_again_replaces_and_zero_disarms() {
        let faults = Faults::default();
        faults.arm(once(1, Fault::RemoveBefore));
        faults.arm(once(1, Fault::RemoveAfter));
        assert_eq!(faults.arrives(SELECT), Some(Fault::RemoveAfter));
        faults.arm(once(1, Fault::RemoveBefore));
        faults.arm(read(r#"{"apdu":0}"#).unwrap());
        assert_eq!(faults.arrives(SELECT), None);
    }

    #[test]
    fn orders_are_read_exactly() {
        let some = |apdu, fault| Ok(once(apdu, fault));
        assert_eq!(
            read(r#"{"apdu":2,"then":"delay","ms":7}"#),
            some(2, Fault::Delay(Duration::from_millis(7)))
        );
        assert_eq!(
            read(r#"{"apdu":1,"then":"garbage","hex":"7Cff"}"#),
            some(1, Fault::Answer(vec![0x7C, 0xFF]))
        );
        assert_eq!(
            read(r#"{"apdu":1,"then":"empty"}"#),
            some(1, Fault::Answer(vec![]))
        );
        assert_eq!(
            read(r#"{"apdu":1,"then":"status","sw":"6982"}"#),
            some(1, Fault::Answer(vec![0x69, 0x82]))
        );
        assert_eq!(read(r#"{"apdu":1,"then":"reset"}"#), some(1, Fault::Reset));
        for wrong in [
            r#"{"apdu":1,"then":"reset","ms":1}"#,
            r#"{"then":"empty"}"#,
            r#"{"apdu":1}"#,
            r#"{"apdu":0,"times":2}"#,
            r#"{"apdu":1,"then":"empty","times":0}"#,
            r#"{"apdu":0,"then":"empty"}"#,
            r#"{"apdu":-1,"then":"empty"}"#,
            r#"{"apdu":1,"then":"delay"}"#,
            r#"{"apdu":1,"then":"empty","ms":1}"#,
            r#"{"apdu":1,"then":"garbage","hex":"7"}"#,
            r#"{"apdu":1,"then":"status","sw":"69"}"#,
            r#"{"apdu":1,"then":"explode"}"#,
            r#"{"apdu":1,"then":"instead"}"#,
            r#"{"apdu":1,"ins":"f9f9","then":"empty"}"#,
            r#"{"apdu":0,"ins":"f9"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
