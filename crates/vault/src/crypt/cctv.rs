//! The age test vectors of C2SP's CCTV (`tests/cctv`), opened as a vault opens its members; and headers made to cost much.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use age::{DecryptError, secrecy::SecretString};
use touchkeep_core::Passphrase;
use touchkeep_device::{
    Auth, Device, DeviceError, DeviceIdentity, KeyRef, Purpose, SoftwareDevice, software,
};

use super::*;

struct Vector {
    name: String,
    head: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn all() -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        inflate(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cctv/testdata"),
            folder.path(),
        );
        let mut vectors: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| Self::read(&entry.unwrap().path()))
            // Of 16 MiB: in a soak.
            .filter(|vector| {
                env::var("TOUCHKEEP_SOAK").is_ok()
                    || !vector.name.contains("_chunks")
                    || !vector.name.contains("_25")
            })
            .collect();
        vectors.sort_by(|one, other| one.name.cmp(&other.name));
        vectors
    }

    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let end = bytes
            .windows(2)
            .position(|window| window == b"\n\n")
            .unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let head: Vec<_> = head
            .map(|line| line.split_once(": ").unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            head,
            file: bytes[end + 2..].to_vec(),
        }
    }

    fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let of_key = self.head.iter().filter(move |(known, _)| known == key);
        of_key.map(|(_, value)| value.as_str())
    }

    fn one<'a>(&'a self, key: &'a str) -> &'a str {
        self.values(key).next().unwrap()
    }

    fn is_armored(&self) -> bool {
        self.values("armored").next().is_some()
    }

    fn x25519(&self) -> Vec<age::x25519::Identity> {
        self.values("identity")
            .filter_map(|line| line.parse().ok())
            .collect()
    }

    fn openers(&self) -> Vec<X25519Identity> {
        self.values("identity")
            .filter_map(X25519Identity::read)
            .collect()
    }
}

// Copies the vectors, the compressed ones inflated: by Python, for nothing in a vault is compressed.
fn inflate(from: &Path, to: &Path) {
    let script = "\
import pathlib, sys, zlib
for vector in pathlib.Path(sys.argv[1]).iterdir():
    head, file = vector.read_bytes().split(b'\\n\\n', 1)
    if b'\\ncompressed: zlib' in head: file = zlib.decompress(file)
    (pathlib.Path(sys.argv[2]) / vector.name).write_bytes(head + b'\\n\\n' + file)";
    let python = Command::new("python3")
        .args(["-c", script])
        .args([from, to])
        .status();
    assert!(python.unwrap().success());
}

// What the vectors would call it.
fn verdict(opened: &Result<Zeroizing<Vec<u8>>, DecryptError>) -> &'static str {
    match opened {
        Ok(_) => "success",
        Err(DecryptError::InvalidMac) => "HMAC failure",
        Err(
            DecryptError::NoMatchingKeys
            | DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed,
        ) => "no match",
        Err(
            DecryptError::InvalidHeader
            | DecryptError::UnknownFormat
            | DecryptError::ExcessiveWork { .. },
        ) => "header failure",
        Err(_) => "payload failure",
    }
}

fn hex(bytes: &[u8]) -> String {
    touchkeep_container::Hash::of(bytes).to_string()
}

// The tally of a soak, in the form of `tests/faults/tally.rs`.
fn tally(what: &str, points: usize, bad: usize) {
    let row = format!("| V-09 | {what} | {points} |  | {bad} |\n");
    if let Ok(folder) = env::var("TOUCHKEEP_TALLY") {
        let name: String = what.chars().filter(char::is_ascii_alphanumeric).collect();
        fs::write(format!("{folder}/V-09-{name}"), &row).unwrap();
    }
    assert!(points > 0 && bad == 0, "{row}");
}

fn judged(what: &str, judgements: BTreeMap<String, Result<(), String>>) {
    let bad: Vec<_> = judgements
        .iter()
        .filter(|(_, held)| held.is_err())
        .collect();
    for bad in &bad {
        writeln!(std::io::stderr(), "{bad:?}").unwrap();
    }
    tally(what, judgements.len(), bad.len());
}

fn expect(
    vector: &Vector,
    opened: &Result<Zeroizing<Vec<u8>>, DecryptError>,
) -> Result<(), String> {
    let (wanted, got) = (vector.one("expect"), verdict(opened));
    if wanted != got {
        return Err(format!("{got}, not {wanted}: {:?}", opened.as_ref().err()));
    }
    match opened {
        Ok(plaintext) if hex(plaintext) != vector.one("payload") => Err("another plaintext".into()),
        _ => Ok(()),
    }
}

#[test]
fn x25519_vectors_have_the_same_verdicts() {
    let mut judgements = BTreeMap::new();
    for vector in Vector::all() {
        let identities = vector.x25519();
        if vector.is_armored() || identities.is_empty() {
            continue;
        }
        // As parts are opened, and as other members are.
        let openers = vector.openers();
        assert_eq!(openers.len(), identities.len(), "{}", vector.name);
        let lent = openers.iter().map(|it| it as &dyn age::Identity);
        let held = expect(&vector, &decrypt_with(lent, &vector.file)).and_then(|()| {
            let lent = identities.iter().map(|it| it as &dyn age::Identity);
            expect(&vector, &decrypt_with(lent, &vector.file))
        });
        judgements.insert(vector.name.clone(), held);
    }
    assert!(judgements.len() > 60, "{}", judgements.len());
    judged("CCTV vectors for X25519: verdicts that differ", judgements);
}

#[test]
fn scrypt_vectors_have_the_same_verdicts_and_open_no_device() {
    let mut judgements = BTreeMap::new();
    for vector in Vector::all()
        .into_iter()
        .filter(|vector| !vector.is_armored())
    {
        let passphrases: Vec<_> = vector.values("passphrase").map(str::to_owned).collect();
        if passphrases.is_empty() || !vector.x25519().is_empty() {
            continue;
        }
        let identities: Vec<_> = passphrases.iter().map(|text| scrypt(text)).collect();
        let lent = identities
            .iter()
            .map(|identity| identity as &dyn age::Identity);
        let opened = decrypt_with(lent, &vector.file);
        let held = expect(&vector, &opened).and_then(|()| by_device(&vector, &passphrases[0]));
        judgements.insert(vector.name.clone(), held);
    }
    assert!(judgements.len() > 20, "{}", judgements.len());
    judged("CCTV vectors for scrypt: verdicts that differ", judgements);
}

fn scrypt(passphrase: &str) -> age::scrypt::Identity {
    let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(software::MAX_WORK_FACTOR);
    identity
}

// As the file of a software device none is one; and a passphrase is called wrong only where it was.
fn by_device(vector: &Vector, passphrase: &str) -> Result<(), String> {
    let passphrase = Passphrase::new(passphrase.to_owned());
    let (_, info) = software::generate(&passphrase, 1).unwrap();
    let mut device = SoftwareDevice::new(info, vector.file.clone());
    let key = KeyRef("sign-vault".into());
    let scheme = touchkeep_device::SignatureScheme::Ed25519;
    match (
        device.sign(&key, scheme, b"m", Auth::Passphrase(&passphrase)),
        vector.one("expect"),
    ) {
        (Ok(_), _) => Err("it signed".into()),
        (Err(DeviceError::WrongPassphrase), "no match") => Ok(()),
        (Err(DeviceError::WrongPassphrase), _) => Err("the passphrase is called wrong".into()),
        (Err(_), _) => Ok(()),
    }
}

#[test]
fn what_a_vault_does_not_know_is_refused() {
    let mut judgements = BTreeMap::new();
    for vector in Vector::all() {
        let mut identities = vector.x25519();
        if !vector.is_armored() && !identities.is_empty() {
            continue;
        }
        identities.push(age::x25519::Identity::generate());
        let lent = identities
            .iter()
            .map(|identity| identity as &dyn age::Identity);
        let held = match decrypt_with(lent, &vector.file) {
            Ok(_) => Err("it was opened".into()),
            Err(_) => Ok(()),
        };
        judgements.insert(vector.name.clone(), held);
    }
    judged(
        "CCTV vectors with armor, hybrid or other keys: opened",
        judgements,
    );
}

// Files whose header costs much, or asks for a program.
fn hostile() -> Vec<(String, Vec<u8>)> {
    let mac = format!(
        "--- {}\n",
        BASE64_STANDARD.encode([0u8; 32]).trim_end_matches('=')
    );
    let file = |stanzas: &str| {
        [
            b"age-encryption.org/v1\n",
            stanzas.as_bytes(),
            mac.as_bytes(),
            &[0; 64],
        ]
        .concat()
    };
    let body = BASE64_STANDARD.encode([7u8; 32]).replace('=', "");
    let share = BASE64_STANDARD.encode([9u8; 32]).replace('=', "");
    let mut files = vec![
        (
            "a million stanzas of nothing".to_owned(),
            file(&"-> a\n\n".repeat(1_000_000)),
        ),
        (
            "stanzas of X25519 for 60 MiB".to_owned(),
            file(&format!("-> X25519 {share}\n{body}\n").repeat(580_000)),
        ),
        (
            "one stanza of 60 MiB".to_owned(),
            file(&format!(
                "-> a\n{}\n",
                format!("{}\n", "A".repeat(64)).repeat(960_000)
            )),
        ),
        (
            "arguments for 60 MiB".to_owned(),
            file(&format!("-> a{}\n\n", " b".repeat(30 << 20))),
        ),
        (
            "a header without an end".to_owned(),
            [
                &b"age-encryption.org/v1\n"[..],
                &b"-> a\n\n".repeat(10_000_000),
            ]
            .concat(),
        ),
    ];
    let salt = BASE64_STANDARD.encode([3u8; 16]).replace('=', "");
    for factor in ["23", "63", "64", "255", "9223372036854775808"] {
        files.push((
            format!("a work factor of {factor}"),
            file(&format!("-> scrypt {salt} {factor}\n{body}\n")),
        ));
    }
    for plugin in [
        "../../bin/sh",
        "/bin/sh",
        "yubikey",
        "x/../../tmp/evil",
        "piv-p256",
    ] {
        files.push((
            format!("for a plugin {plugin}"),
            file(&format!("-> {plugin} AAAA\n{body}\n")),
        ));
    }
    files
}

// The most that this process had of its own. What it has mapped of its program is not counted: the kernel maps that in pieces of
// up to 2 MiB where the file was just written.
fn peak_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kib = |name: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let amount = line.unwrap().trim().trim_end_matches(" kB");
        amount.parse().unwrap()
    };
    kib("VmHWM:") - kib("RssFile:")
}

#[test]
fn hostile_headers_cost_little_and_start_nothing() {
    let x25519 = age::x25519::Identity::generate();
    let scrypt = scrypt("password");
    let passphrase = Passphrase::new("password".into());
    let (_, info) = software::generate(&passphrase, 1).unwrap();
    let mut judgements = BTreeMap::new();
    for (name, file) in hostile() {
        // Peak memory from here on, the file itself beside.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let (before, begun) = (peak_kib(), Instant::now());
        let mut device = SoftwareDevice::new(info.clone(), file.clone());
        let key = info.key(Purpose::Unlock).unwrap().key.clone();
        let by_device = DeviceIdentity::new(&mut device, key, Auth::Passphrase(&passphrase));
        let identities: [&dyn age::Identity; 3] = [&x25519, &scrypt, &by_device];
        let opened = decrypt_with(identities.into_iter(), &file).is_ok();
        let (took, grown) = (
            begun.elapsed(),
            peak_kib().saturating_sub(before + file.len() / 1024),
        );
        let children = fs::read_to_string("/proc/thread-self/children").unwrap();
        let held = match () {
            () if opened => Err("it was opened".into()),
            () if took > Duration::from_secs(1) => Err(format!("it took {took:?}")),
            () if grown > 64 << 10 => Err(format!("it took {grown} KiB")),
            () if !children.is_empty() => Err("it started a program".into()),
            () => Ok(()),
        };
        judgements.insert(name, held);
    }
    judged(
        "hostile headers: more than 1 s, 64 MiB, or a program started",
        judgements,
    );
}
