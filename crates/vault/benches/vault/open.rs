//! Opening: one secret in a process of its own, all items in memory, a device's part, and what stays in memory.

use std::{
    env, fs,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use age_core::format::{FileKey, Stanza};
use touchkeep_device::{
    Auth, Demand, Device, DeviceError, DeviceInfo, KeyRef, KitDevice, SignatureScheme,
};
use touchkeep_vault::Locked;

use crate::rig::{self, Figure, Place, decrypted, row, time};

const ROUNDS: usize = 11;
/// Of whole processes, which take turns with the rest of the machine.
const COLD_ROUNDS: usize = 41;

/// The process that reads one secret.
pub(crate) fn read_one(vault: &Path, words: &Path, name: &str) {
    let vault = rig::unlocked(vault, &mut rig::kit(words));
    let id = vault.find(name).unwrap().id;
    print!("{}", vault.secret(id).unwrap().expose());
}

fn own(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(arguments);
    command
}

pub(crate) fn reading(place: &Place) {
    let [vault, words] = [&place.vault, &place.words].map(|path| path.to_str().unwrap());
    let name = place.name();
    let mut ours = own(&["read", vault, words, &name]);
    let mut rage = Command::new("rage");
    rage.arg("-d").arg("-i").arg(&place.key).arg(&place.bare);
    assert_eq!(ours.output().unwrap().stdout, place.secret.as_bytes());
    assert_eq!(
        rage.output().expect("rage 0.12.1 on the path").stdout,
        place.plaintext
    );
    ours.stdout(Stdio::null());
    rage.stdout(Stdio::null());
    let mut rounds = [const { Vec::new() }; 2];
    for _ in 0..COLD_ROUNDS {
        rounds[0].push(time(|| assert!(rage.status().unwrap().success())));
        rounds[1].push(time(|| assert!(ours.status().unwrap().success())));
    }
    let [rage, ours] = rounds.map(Figure::of);
    row(&format!("rage -d, {} items", place.items), &rage, None);
    row("one secret, cold", &ours, Some(&rage));
}

pub(crate) fn opening(place: &Place) {
    let identity = fs::read_to_string(&place.key).unwrap().parse().unwrap();
    let bare = fs::read(&place.bare).unwrap();
    let mut plaintext = decrypted(&identity, &bare, Vec::with_capacity(bare.len()));
    assert_eq!(plaintext, place.plaintext);
    let name = place.name();
    let mut rounds = [const { Vec::new() }; 6];
    for _ in 0..ROUNDS {
        rounds[0].push(time(|| {
            plaintext = decrypted(&identity, &bare, std::mem::take(&mut plaintext));
        }));
        let mut kit = place.kit();
        let start = Instant::now();
        let locked = Locked::open(&place.vault).unwrap();
        rounds[1].push(start.elapsed());
        let vault = locked.unlock(&mut kit, Auth::Nothing).unwrap();
        rounds[2].push(start.elapsed());
        let id = black_box(vault.find(&name).unwrap()).id;
        rounds[3].push(start.elapsed());
        black_box(vault.secret(id).unwrap());
        rounds[4].push(start.elapsed());
        assert_eq!(vault.items().len(), place.items);
        rounds[5].push(start.elapsed());
    }
    let [bare, locked, unlocked, found, secret, listed] = rounds.map(Figure::of);
    row(
        &format!("bare age stream, {} items", place.items),
        &bare,
        None,
    );
    row("  read and checked, locked", &locked, Some(&bare));
    row("  and unlocked", &unlocked, Some(&bare));
    row("  and an item found by its name", &found, Some(&bare));
    row("  and its secret read", &secret, Some(&bare));
    row("  and all items put together", &listed, Some(&bare));
}

/// A device that counts its uses and the time in them.
struct Counting {
    kit: KitDevice,
    uses: usize,
    busy: Duration,
}

impl Device for Counting {
    fn info(&self) -> &DeviceInfo {
        self.kit.info()
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        self.kit.demand(key)
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        self.uses += 1;
        let start = Instant::now();
        let opened = self.kit.unwrap_file_key(key, stanzas, auth);
        self.busy += start.elapsed();
        opened
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        self.uses += 1;
        self.kit.sign(key, scheme, message, auth)
    }
}

pub(crate) fn device(place: &Place) {
    let mut own = Vec::new();
    for _ in 0..ROUNDS {
        let mut device = Counting {
            kit: place.kit(),
            uses: 0,
            busy: Duration::ZERO,
        };
        let start = Instant::now();
        let locked = Locked::open(&place.vault).unwrap();
        let vault = locked.unlock(&mut device, Auth::Nothing).unwrap();
        black_box(vault.find(&place.name()).unwrap());
        own.push(start.elapsed() - device.busy);
        assert_eq!(device.uses, 1, "one use of a private key");
    }
    let name = format!("unlock less its 1 device use, {} items", place.items);
    row(&name, &Figure::of(own), None);
}

/// The process that holds a vault open, and says what that takes.
pub(crate) fn hold(vault: &Path, words: &Path) {
    let before = pss_kb();
    let vault = rig::unlocked(vault, &mut rig::kit(words));
    let opened = pss_kb();
    black_box(vault.items());
    println!(
        "{before:>7} kB before, {opened:>7} kB unlocked, {:>7} kB with all items shown",
        pss_kb()
    );
}

fn pss_kb() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

pub(crate) fn memory(places: &[&Place]) {
    for place in places {
        let [vault, words] = [&place.vault, &place.words].map(|path| path.to_str().unwrap());
        let said = own(&["hold", vault, words]).output().unwrap().stdout;
        let mib = fs::metadata(&place.vault).unwrap().len() >> 10;
        print!(
            "PSS, {:>6} items ({mib} kB): {}",
            place.items,
            String::from_utf8(said).unwrap()
        );
    }
}
