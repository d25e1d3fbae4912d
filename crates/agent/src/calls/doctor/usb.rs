//! YubiKeys on the USB, as the kernel lists them: what is plugged in and yet not seen by pcscd.

use std::{fs, path::Path};

const YUBICO: &str = "1050";
/// OTP, FIDO, and both: no smart card among what these offer (Yubico's list of USB product ids, YubiKey 4 and later).
const WITHOUT_CARD: [&str; 4] = ["0401", "0402", "0403", "0120"];

/// A YubiKey that is plugged in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plugged {
    /// `1050:0407`.
    pub(super) id: String,
    /// Whether it offers a smart card.
    pub(super) card: bool,
}

/// Those of this machine.
pub(super) fn plugged() -> Vec<Plugged> {
    below(Path::new("/sys/bus/usb/devices"))
}

fn below(devices: &Path) -> Vec<Plugged> {
    let entries = fs::read_dir(devices).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let read = |name| fs::read_to_string(entry.path().join(name)).ok();
        let (vendor, product) = (read("idVendor")?, read("idProduct")?);
        let (vendor, product) = (vendor.trim(), product.trim());
        (vendor == YUBICO).then(|| Plugged {
            id: format!("{vendor}:{product}"),
            card: !WITHOUT_CARD.contains(&product),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yubikeys_are_seen_and_those_without_a_card_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        for (name, vendor, product) in [
            ("1-1", "1050\n", "0407\n"),
            ("1-2", "046d\n", "c077\n"),
            ("1-3", "1050\n", "0402\n"),
        ] {
            let device = dir.path().join(name);
            fs::create_dir(&device).unwrap();
            fs::write(device.join("idVendor"), vendor).unwrap();
            fs::write(device.join("idProduct"), product).unwrap();
        }
        fs::create_dir(dir.path().join("1-1:1.0")).unwrap();
        let mut found = below(dir.path());
        found.sort_by(|a, b| a.id.cmp(&b.id));
        let seen: Vec<_> = found
            .iter()
            .map(|one| (one.id.as_str(), one.card))
            .collect();
        assert_eq!(seen, [("1050:0402", false), ("1050:0407", true)]);
        assert_eq!(below(&dir.path().join("none")), []);
    }
}
