//! Signatures of a PKCS#11 token: through our driver, which has the module in a process of its own and verifies each signature,
//! beside `C_Sign` in the process that asks. The session is kept, as it is between requests. Beside that what cannot be done
//! without: the way to another process and back over two pipes, and the verification. The token is SoftHSM's.

use std::{
    fs,
    hint::black_box,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, ObjectClass},
    session::UserType,
    types::AuthPin,
};
use tempfile::TempDir;
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, KeyInfo, Provision, SignatureScheme, TouchPolicy, public::verifies,
};
use touchkeep_device_pkcs11::{Launch, Options, Pkcs11Device, tokens};
use touchkeep_tests::binary;

use super::{ROUNDS, median, per_call, row};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "271828";
const CALLS: u32 = 200;
/// What this program is asked to be, in a process that sees the token.
const BARE: &str = "bare-c-sign";
const ECHO: &str = "echo";
/// What a question and an answer have, about.
const FRAME_BYTES: usize = 512;
const MESSAGE: &[u8] = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1";

/// Measures and prints.
pub(super) fn token() {
    if !Path::new(MODULE).exists() {
        println!("PKCS#11: NOT MEASURED, there is no {MODULE} (apt install softhsm2)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = store(&folder);
    let launch = || Launch {
        program: binary("touchkeep-agent"),
        args: vec!["agent".into(), "pkcs11-host".into()],
        env: vec![("SOFTHSM2_CONF".into(), config.clone().into_os_string())],
    };
    let found = tokens(&launch(), PathBuf::from(MODULE)).unwrap();
    let choice = found[0].choice.clone();
    let module = PathBuf::from(MODULE);
    let mut device = Pkcs11Device::spawn(launch(), module, choice, Options::default()).unwrap();
    let pin = Pin::new(PIN.into());
    device.provision(Auth::Pin(&pin)).unwrap();
    // Logged in once, for all that follow.
    device.keep_session();
    for (name, algorithm, scheme) in [
        ("Ed25519", Algorithm::Ed25519, SignatureScheme::Ed25519),
        ("ES256", Algorithm::P256, SignatureScheme::EcdsaP256Sha256),
        (
            "RSA-2048",
            Algorithm::Rsa2048,
            SignatureScheme::RsaPkcs1Sha256,
        ),
    ] {
        let made = device.generate_request_key(algorithm, TouchPolicy::Never, Auth::Pin(&pin));
        let key = made.unwrap();
        let mut sign = |auth| device.sign(&key.key, scheme, MESSAGE, auth).unwrap();
        let signature = sign(Auth::Pin(&pin));
        let (mut bare, mut ours, mut anew) = (vec![], vec![], vec![]);
        let (mut way, mut verifying) = (vec![], vec![]);
        let mut echo = Echo::start();
        for _ in 0..ROUNDS {
            bare.push(in_a_process(&config, name, &key));
            ours.push(per_call(CALLS, |_| drop(sign(Auth::Nothing))));
            anew.push(per_call(CALLS / 10, |_| drop(sign(Auth::Pin(&pin)))));
            way.push(per_call(CALLS, |_| echo.there_and_back()));
            verifying.push(per_call(CALLS, |_| {
                assert!(verifies(scheme, black_box(&key.spki), MESSAGE, &signature));
            }));
        }
        let limit = median(&mut bare);
        row(&format!("bare C_Sign, {name} (SoftHSM)"), &mut bare, limit);
        row("  through the driver, and verified", &mut ours, limit);
        row("  of that: to a process and back", &mut way, limit);
        row("  of that: verifying", &mut verifying, limit);
        row("  with the PIN proved for each signature", &mut anew, limit);
    }
}

/// A process that gives back what it got.
struct Echo(Child);

impl Echo {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([ECHO, "", ""]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn there_and_back(&mut self) {
        let mut frame = [7; FRAME_BYTES];
        let (stdin, stdout) = (self.0.stdin.as_mut(), self.0.stdout.as_mut());
        stdin.unwrap().write_all(&frame).unwrap();
        stdout.unwrap().read_exact(&mut frame).unwrap();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn echo() {
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut frame = [0; FRAME_BYTES];
    while from.read_exact(&mut frame).is_ok() {
        to.write_all(&frame).and_then(|()| to.flush()).unwrap();
    }
}

fn store(folder: &TempDir) -> PathBuf {
    let (tokens, config) = (
        folder.path().join("tokens"),
        folder.path().join("softhsm2.conf"),
    );
    fs::create_dir(&tokens).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&config, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "bench"])
        .args(["--so-pin", "31415926", "--pin", PIN])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    config
}

fn in_a_process(config: &Path, name: &str, key: &KeyInfo) -> f64 {
    let done = Command::new(std::env::current_exe().unwrap())
        .args([BARE, name, &key.key.0])
        .env("SOFTHSM2_CONF", config)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Whether this process is to sign with the token and nothing else.
pub(super) fn is_bare() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, name, id] = &*arguments else {
        return false;
    };
    match &**what {
        BARE => println!("{}", bare(name, id)),
        ECHO => echo(),
        _ => return false,
    }
    true
}

// µs of one signature, in a session that is logged in, with a key that was found before.
fn bare(name: &str, id: &str) -> f64 {
    let module = Pkcs11::new(MODULE).unwrap();
    module
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_ro_session(slot).unwrap();
    let pin = AuthPin::new(PIN.into());
    session.login(UserType::User, Some(&pin)).unwrap();
    let id = data_encoding::HEXLOWER_PERMISSIVE
        .decode(id.as_bytes())
        .unwrap();
    let wanted = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(id),
    ];
    let key = session.find_objects(&wanted).unwrap()[0];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, MESSAGE);
    let (mechanism, message) = match name {
        "Ed25519" => (
            Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
            MESSAGE,
        ),
        "ES256" => (Mechanism::Ecdsa, digest.as_ref()),
        _ => (Mechanism::Sha256RsaPkcs, MESSAGE),
    };
    let sign = || drop(session.sign(&mechanism, key, message).unwrap());
    (0..20).for_each(|_| sign());
    let started = Instant::now();
    (0..CALLS).for_each(|_| sign());
    started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
}
