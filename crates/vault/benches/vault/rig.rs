//! Vaults to measure, the same bytes as one bare age file, and clocks.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use touchkeep_core::{ApiSecret, UnixMillis};
use touchkeep_device::{Auth, KitDevice, RecoveryKit};
use touchkeep_vault::{AuditHead, Item, ItemKind, Locked, NewDevice, NewVault, Unlocked, create};
use touchkeep_venue::KeyClass;

pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// A vault of so many items that opens with a recovery kit, and its plaintext in one age file to the same key.
pub(crate) struct Place {
    pub(crate) items: usize,
    pub(crate) vault: PathBuf,
    /// The words of the kit.
    pub(crate) words: PathBuf,
    /// The kit as stock age takes it.
    pub(crate) key: PathBuf,
    pub(crate) bare: PathBuf,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) secret: String,
}

impl Place {
    pub(crate) fn new(folder: &Path, items: usize) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap().keep();
        let kit = RecoveryKit::generate().unwrap();
        let mut place = Self {
            items,
            vault: folder.join("items.vault"),
            words: folder.join("words"),
            key: folder.join("key"),
            bare: folder.join("bare.age"),
            plaintext: Vec::new(),
            secret: secret(items / 2),
        };
        fs::write(&place.words, kit.words().unwrap().as_str()).unwrap();
        let line = &kit.identity_lines()[0];
        fs::write(&place.key, line.as_bytes()).unwrap();
        filled(&place.vault, kit.device().unwrap(), items);
        let identity: age::x25519::Identity = line.parse().unwrap();
        place.plaintext = plaintext(&place.vault, &identity);
        let to = identity.to_public();
        fs::write(&place.bare, encrypted(&to, &place.plaintext)).unwrap();
        // Whole figures stand on this: the bytes are the items.
        let text = std::str::from_utf8(&place.plaintext).unwrap();
        assert_eq!(text.matches(&place.secret).count(), 1);
        assert_eq!(text.matches("\"name\":\"").count(), items);
        place
    }

    pub(crate) fn name(&self) -> String {
        name(self.items / 2)
    }

    pub(crate) fn kit(&self) -> KitDevice {
        kit(&self.words)
    }

    pub(crate) fn unlocked(&self) -> Unlocked {
        unlocked(&self.vault, &mut self.kit())
    }
}

pub(crate) fn kit(words: &Path) -> KitDevice {
    let words = fs::read_to_string(words).unwrap();
    RecoveryKit::from_words(&words).unwrap().device().unwrap()
}

pub(crate) fn unlocked(vault: &Path, kit: &mut KitDevice) -> Unlocked {
    Locked::open(vault)
        .unwrap()
        .unlock(kit, Auth::Nothing)
        .unwrap()
}

fn filled(path: &Path, mut kit: KitDevice, items: usize) {
    let new = NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice: false,
        device: NewDevice::Hardware(&mut kit, Auth::Nothing),
        now: NOW,
    };
    let mut vault = create(path, new).unwrap();
    for number in 0..items {
        let item = item(&vault, number);
        let id = item.id;
        vault.put(item).unwrap();
        vault
            .set_secret(id, ApiSecret::new(secret(number)))
            .unwrap();
    }
    vault.save(NOW, AuditHead::empty()).unwrap();
}

fn item(vault: &Unlocked, number: usize) -> Item {
    Item {
        venue: "binance".into(),
        key_set: "main".into(),
        class: KeyClass::Trade,
        api_key: format!("{number:0>64}"),
        created: NOW,
        rotate_after_days: Some(90),
        note: "grid bot, spot only".into(),
        ..Item::new(vault.environment(), ItemKind::ExchangeKey, name(number))
    }
}

fn name(number: usize) -> String {
    format!("account {number} trade key")
}

fn secret(number: usize) -> String {
    format!("secret-of-{number:0>54}")
}

// All segments and snapshots, opened with nothing but age, as the format says.
fn plaintext(vault: &Path, kit: &age::x25519::Identity) -> Vec<u8> {
    let archive = fs::read(vault).unwrap();
    let members = touchkeep_container::tar::read(&archive).unwrap();
    let of = |folder: &str| -> Vec<&[u8]> {
        let in_it = members.iter().filter(|(name, _)| name.starts_with(folder));
        in_it.map(|(_, bytes)| *bytes).collect()
    };
    let line = |text: Vec<u8>| -> age::x25519::Identity {
        let text = String::from_utf8(text).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    };
    let user = line(decrypted(kit, of("u/")[0], Vec::new()));
    let environment = line(decrypted(&user, of("k/")[0], Vec::new()));
    let parts = [of("s/"), of("b/")].concat();
    let texts = parts
        .iter()
        .map(|part| decrypted(&environment, part, Vec::new()));
    texts.collect::<Vec<_>>().concat()
}

pub(crate) fn encrypted(to: &age::x25519::Recipient, plaintext: &[u8]) -> Vec<u8> {
    let to = std::iter::once(to as &dyn age::Recipient);
    let mut out = Vec::with_capacity(plaintext.len() + plaintext.len() / 1024 + 1024);
    let encryptor = age::Encryptor::with_recipients(to).unwrap();
    let mut writer = encryptor.wrap_output(&mut out).unwrap();
    writer.write_all(plaintext).unwrap();
    writer.finish().unwrap();
    out
}

/// Into a buffer that may be used again, so that the bare stream pays for no memory.
pub(crate) fn decrypted(with: &age::x25519::Identity, file: &[u8], mut into: Vec<u8>) -> Vec<u8> {
    into.clear();
    let decryptor = age::Decryptor::new_buffered(file).unwrap();
    let with = std::iter::once(with as &dyn age::Identity);
    decryptor
        .decrypt(with)
        .unwrap()
        .read_to_end(&mut into)
        .unwrap();
    into
}

pub(crate) fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let done = work();
    let taken = start.elapsed();
    drop(done);
    taken
}

/// Median, minimum and spread (the middle half of the rounds over the median).
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) spread: f64,
}

impl Figure {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 4].as_secs_f64() * 1e3;
        Self {
            median: at(2),
            min: at(0),
            spread: (at(3) - at(1)) / at(2),
        }
    }
}

const MAX_SPREAD: f64 = 0.15;

pub(crate) fn row(name: &str, figure: &Figure, limit: Option<&Figure>) {
    let Figure {
        median,
        min,
        spread,
    } = figure;
    let spread = spread * 100.0;
    print!("{name:<42} {median:>9.3} ms  (min {min:.3}, spread {spread:.0} %)");
    match limit {
        Some(limit) => {
            // A limit that is not steady itself says little.
            let unsure = if limit.spread > MAX_SPREAD {
                ", UNSURE"
            } else {
                ""
            };
            let ratios = [median / limit.median, min / limit.min];
            println!("   {:.2} x, min {:.2} x{unsure}", ratios[0], ratios[1]);
        }
        None => println!(),
    }
}
