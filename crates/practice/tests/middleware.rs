//! The practice card under other people's programs, as Debian ships them: `yubico-piv-tool`, OpenSC's tools, OpenSC's and
//! Yubico's PKCS#11 modules, and `age` with `age-plugin-yubikey`. OpenSSL checks what they bring back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests may fail loudly; the rig is shared by several of them"
)]

mod rig;

use rig::Rig;
use serde_json::json;
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use yubikey::{MgmAlgorithmId, MgmKey, YubiKey};

const PIN: &str = "123456";
const PUK: &str = "12345678";
const MANAGEMENT_KEY_BYTES: [u8; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];
const MANAGEMENT_KEY: &str = "010203040506070801020304050607080102030405060708";
const OPENSC: &str = "opensc-pkcs11.so";
const YKCS11: &str = "libykcs11.so";

/// A card, and a folder in which programs work with it.
struct Desk {
    rig: Rig,
}

/// What a program said, and whether it was content.
struct Said {
    ok: bool,
    text: String,
}

impl Desk {
    fn new(arguments: &[&str]) -> Self {
        let desk = Self {
            rig: Rig::beside(arguments),
        };
        desk.write("message", b"what is to be signed");
        desk.openssl("dgst -sha256 -binary -out digest message");
        desk
    }

    fn folder(&self) -> &Path {
        self.rig.folder.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder().join(name)).unwrap()
    }

    /// Runs a program; it finds this card's pcscd and no other.
    fn run(&self, command: &str) -> Said {
        let mut words = command.split_whitespace();
        let output = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(self.folder())
            .env("PCSCLITE_CSOCK_NAME", self.rig.socket())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        Said {
            ok: output.status.success(),
            text: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        }
    }

    fn must(&self, command: &str) -> String {
        let said = self.run(command);
        assert!(said.ok, "{command}: {}", said.text);
        said.text
    }

    fn openssl(&self, arguments: &str) -> String {
        self.must(&format!("openssl {arguments}"))
    }

    fn piv_tool(&self, arguments: &str) -> Said {
        self.run(&format!("yubico-piv-tool -r Yubico {arguments}"))
    }

    fn must_piv_tool(&self, arguments: &str) -> String {
        let said = self.piv_tool(arguments);
        assert!(said.ok, "{arguments}: {}", said.text);
        said.text
    }

    /// Makes a key with a certificate. The certificate is OpenSSL's, because `yubico-piv-tool` 2.2 signs none with
    /// OpenSSL 3 (its issue 388).
    fn provision(&self, slot: &str, algorithm: &str) {
        self.must_piv_tool(&format!(
            "-a generate -s {slot} -A {algorithm} -o {slot}.pub"
        ));
        for command in [
            "ecparam -name prime256v1 -genkey -noout -out ca.key",
            "req -x509 -new -key ca.key -subj /CN=ca -days 9 -out ca.pem",
            "req -new -key ca.key -subj /CN=practice -out any.csr",
            &format!(
                "x509 -req -in any.csr -force_pubkey {slot}.pub -CA ca.pem -CAkey ca.key -days 9 -out {slot}.pem"
            ),
        ] {
            self.openssl(command);
        }
        self.must_piv_tool(&format!("-a import-certificate -s {slot} -i {slot}.pem"));
    }

    /// `pkcs11-tool` over a module, logged in.
    fn pkcs11(&self, module: &str, arguments: &str) {
        self.must(&format!(
            "pkcs11-tool --module {} --login --pin {PIN} {arguments}",
            library(module).display()
        ));
    }

    /// Checks the file "signature", and that the check can fail.
    fn require_signature(&self, public: &str) {
        let verify = |name: &str| {
            format!("openssl dgst -sha256 -verify {public} -signature signature {name}")
        };
        self.must(&verify("message"));
        self.write("other", b"something else");
        assert!(!self.run(&verify("other")).ok);
    }

    /// Lets a module agree on a secret with a key of OpenSSL's, and OpenSSL with the module's.
    fn require_agreement(&self, module: &str, id: &str, public: &str) {
        self.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out theirs.pem");
        self.openssl("pkey -in theirs.pem -pubout -outform DER -out theirs.der");
        self.pkcs11(
            module,
            &format!("--derive --mechanism ECDH1-DERIVE --id {id} -i theirs.der -o ours.secret"),
        );
        self.openssl(&format!(
            "pkeyutl -derive -inkey theirs.pem -peerkey {public} -out theirs.secret"
        ));
        assert_eq!(self.read("ours.secret"), self.read("theirs.secret"));
        assert_eq!(self.read("ours.secret").len(), 32);
    }
}

/// Debian keeps libraries in a folder named after the machine.
fn library(name: &str) -> PathBuf {
    [
        format!("{}-linux-gnu", env::consts::ARCH),
        "pkcs11".to_owned(),
        String::new(),
    ]
    .iter()
    .map(|folder| Path::new("/usr/lib").join(folder).join(name))
    .find(|path| path.exists())
    .unwrap_or_else(|| panic!("{name} is missing: apt install opensc ykcs11"))
}

#[test]
fn opensc_takes_it_for_a_piv_card() {
    let desk = Desk::new(&[]);
    assert!(
        desk.must("opensc-tool -n")
            .contains("Personal Identity Verification Card")
    );
    let said = desk.must("opensc-tool -s 00:A4:04:00:05:A0:00:00:03:08 -s 00:FD:00:00:00");
    assert!(said.contains("05 04 03"), "{said}");
}

#[test]
fn a_fresh_card_has_neither_chuid_nor_ccc_until_somebody_writes_them() {
    let desk = Desk::new(&[]);
    let status = desk.must_piv_tool("-a status");
    assert!(status.contains("Version:\t5.4.3"), "{status}");
    assert!(status.contains("CHUID:\tNo data available"), "{status}");
    assert!(status.contains("CCC:\tNo data available"), "{status}");
    assert!(status.contains("PIN tries left:\t3"), "{status}");
    desk.must_piv_tool("-a set-chuid -a set-ccc");
    let status = desk.must_piv_tool("-a status");
    assert!(status.contains("CHUID:\t3019"), "{status}");
    assert!(status.contains("CCC:\tf015"), "{status}");
}

#[test]
fn yubico_piv_tool_makes_keys_signs_and_agrees() {
    let desk = Desk::new(&[]);
    desk.provision("9a", "ECCP256");
    desk.provision("9d", "ECCP384");
    desk.provision("9c", "RSA2048");
    desk.must_piv_tool("-a read-certificate -s 9a -o read.pem");
    assert_eq!(desk.read("read.pem"), desk.read("9a.pem"));
    let pin = format!("-P {PIN} -a verify-pin");
    desk.must_piv_tool(&format!(
        "{pin} --sign -s 9a -A ECCP256 -H SHA256 -i message -o signature"
    ));
    desk.require_signature("9a.pub");
    for (what, slot) in [
        ("test-signature", "9a"),
        ("test-decipher", "9d"),
        ("test-signature", "9c"),
        ("test-decipher", "9c"),
    ] {
        desk.must_piv_tool(&format!("{pin} -a {what} -s {slot} -i {slot}.pem"));
    }
    let status = desk.must_piv_tool("-a status");
    for said in ["Slot 9a:", "Slot 9c:", "Slot 9d:", "ECCP384", "CN=practice"] {
        assert!(status.contains(said), "{status}");
    }
}

#[test]
fn yubico_piv_tool_attests_and_openssl_verifies() {
    let desk = Desk::new(&[]);
    desk.must_piv_tool("-a generate -s 9a -A ECCP256 --touch-policy always -o 9a.pub");
    desk.must_piv_tool("-a attest -s 9a -o leaf.pem");
    desk.must_piv_tool("-a read-certificate -s f9 -o f9.pem");
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/lab");
    desk.openssl(&format!(
        "verify -CAfile {lab}/piv-root-ca.pem -untrusted f9.pem leaf.pem"
    ));
    desk.openssl("x509 -in leaf.pem -noout -pubkey -out attested.pub");
    assert_eq!(desk.read("attested.pub"), desk.read("9a.pub"));
    assert!(!desk.piv_tool("-a attest -s 9c -o no.pem").ok);
}

#[test]
fn yubico_piv_tool_imports_keys_and_they_are_not_attested() {
    let desk = Desk::new(&["--touch", "auto"]);
    desk.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
    desk.openssl("pkey -in key.pem -pubout -out 9e.pub");
    desk.must_piv_tool("-a import-key -s 9e -i key.pem --touch-policy always");
    desk.must_piv_tool("-a version --sign -s 9e -A ECCP256 -H SHA256 -i message -o signature");
    desk.require_signature("9e.pub");
    assert_eq!(desk.rig.state()["touches"], 1);
    assert!(!desk.piv_tool("-a attest -s 9e -o no.pem").ok);
}

#[test]
fn yubico_piv_tool_changes_unblocks_and_resets() {
    let desk = Desk::new(&[]);
    desk.must_piv_tool(&format!("-a change-pin -P {PIN} -N 654321"));
    desk.must_piv_tool(&format!("-a change-puk -P {PUK} -N 87654321"));
    let refused = desk.piv_tool(&format!("-a verify-pin -P {PIN}"));
    assert!(
        !refused.ok && refused.text.contains("2 tries left"),
        "{}",
        refused.text
    );
    desk.must_piv_tool("-a unblock-pin -P 87654321 -N 111111");
    desk.must_piv_tool("-a verify-pin -P 111111");
    desk.must_piv_tool(&format!(
        "-a set-mgm-key -n {}",
        MANAGEMENT_KEY.replace("08", "5a")
    ));
    assert!(!desk.piv_tool("-a generate -s 9a -A ECCP256 -o no.pub").ok);
    assert!(!desk.piv_tool("-a reset").ok, "not while tries are left");
    for _ in 0..3 {
        assert!(!desk.piv_tool("-a verify-pin -P 000000").ok);
        assert!(!desk.piv_tool("-a change-puk -P 00000000 -N 00000000").ok);
    }
    let blocked = desk.piv_tool("-a verify-pin -P 111111");
    assert!(blocked.text.contains("blocked"), "{}", blocked.text);
    let state = desk.rig.state();
    assert_eq!(
        (&state["pin_tries"], &state["puk_tries"]),
        (&json!(0), &json!(0))
    );
    desk.must_piv_tool("-a reset");
    desk.must_piv_tool(&format!("-a verify-pin -P {PIN}"));
    desk.must_piv_tool("-a generate -s 9a -A ECCP256 -o 9a.pub");
}

#[test]
fn yubico_piv_tool_2_2_does_not_know_the_management_key_of_firmware_5_7() {
    let desk = Desk::new(&["--firmware", "5.7.4"]);
    let refused = desk.piv_tool("-a generate -s 9a -A ECCP256 -o no.pub");
    assert!(!refused.ok);
    assert!(
        refused.text.contains("Failed authentication"),
        "{}",
        refused.text
    );
    assert!(desk.must_piv_tool("-a status").contains("Version:\t5.7.4"));

    // With a management key of the older kind it works there too.
    rig::use_socket(desk.rig.socket(), desk.folder());
    let mut key = YubiKey::open().unwrap();
    key.authenticate(&MgmKey::get_default(&key).unwrap())
        .unwrap();
    let older = MgmKey::from_bytes(MANAGEMENT_KEY_BYTES, Some(MgmAlgorithmId::ThreeDes)).unwrap();
    older.set_manual(&mut key, false).unwrap();
    drop(key);
    desk.provision("9c", "ECCP256");
    desk.must_piv_tool(&format!(
        "-P {PIN} -a verify-pin -a test-signature -s 9c -i 9c.pem"
    ));
}

#[test]
fn opensc_reads_changes_and_unblocks() {
    let desk = Desk::new(&[]);
    desk.provision("9a", "ECCP256");
    let listed = desk.must("pkcs15-tool --list-certificates --list-keys");
    assert!(
        listed.contains("Certificate for PIV Authentication"),
        "{listed}"
    );
    assert!(listed.contains("PIV AUTH key"), "{listed}");
    desk.must("pkcs15-tool --read-certificate 01 -o read.pem");
    assert_eq!(desk.read("read.pem"), desk.read("9a.pem"));
    desk.must(&format!(
        "pkcs15-tool --change-pin --pin {PIN} --new-pin 222222"
    ));
    desk.must(&format!(
        "pkcs15-tool --unblock-pin --puk {PUK} --new-pin 333333"
    ));
    desk.must("pkcs15-tool --verify-pin --pin 333333");
    assert!(!desk.run("pkcs15-tool --verify-pin --pin 222222").ok);
    assert_eq!(desk.rig.state()["pin_tries"], 2);
}

#[test]
fn opensc_pkcs11_signs_and_agrees() {
    let desk = Desk::new(&[]);
    desk.provision("9a", "ECCP256");
    desk.provision("9c", "RSA2048");
    desk.provision("9d", "ECCP256");
    desk.pkcs11(
        OPENSC,
        "--sign --mechanism ECDSA --signature-format openssl --id 01 -i digest -o signature",
    );
    desk.require_signature("9a.pub");
    desk.pkcs11(
        OPENSC,
        "--sign --mechanism SHA256-RSA-PKCS --id 02 -i message -o signature",
    );
    desk.require_signature("9c.pub");
    desk.require_agreement(OPENSC, "03", "9d.pub");
}

#[test]
fn ykcs11_makes_keys_signs_agrees_and_attests() {
    let desk = Desk::new(&[]);
    desk.provision("9a", "ECCP256");
    desk.provision("9c", "RSA2048");
    desk.provision("9d", "ECCP256");
    desk.must(&format!(
        "pkcs11-tool --module {} --login --login-type so --so-pin {MANAGEMENT_KEY} --keypairgen --key-type EC:prime256v1 --id 05",
        library(YKCS11).display()
    ));
    desk.pkcs11(YKCS11, "--read-object --type pubkey --id 05 -o 82.der");
    desk.openssl("pkey -pubin -inform DER -in 82.der -out 82.pub");
    for (id, public) in [("01", "9a.pub"), ("05", "82.pub")] {
        desk.pkcs11(
            YKCS11,
            &format!("--sign --mechanism ECDSA --signature-format openssl --id {id} -i digest -o signature"),
        );
        desk.require_signature(public);
    }
    desk.pkcs11(
        YKCS11,
        "--sign --mechanism SHA256-RSA-PKCS --id 02 -i message -o signature",
    );
    desk.require_signature("9c.pub");
    desk.require_agreement(YKCS11, "03", "9d.pub");
    let objects = desk.must(&format!(
        "pkcs11-tool --module {} --list-objects --type cert",
        library(YKCS11).display()
    ));
    assert!(
        objects.contains("X.509 Certificate for PIV Attestation 82"),
        "{objects}"
    );
    desk.pkcs11(YKCS11, "--change-pin --new-pin 555555");
    desk.must_piv_tool("-a verify-pin -P 555555");
}

/// `PATH` with the plugin in it.
fn path_with_plugin() -> OsString {
    let path = env::var_os("PATH").unwrap();
    let dirs: Vec<PathBuf> = env::var_os("TOUCHKEEP_AGE_PLUGIN_DIR")
        .map(PathBuf::from)
        .into_iter()
        .chain(env::split_paths(&path))
        .collect();
    assert!(
        dirs.iter()
            .any(|dir| dir.join("age-plugin-yubikey").exists()),
        "age-plugin-yubikey is missing: `./dev test` compiles it, and says where it is in TOUCHKEEP_AGE_PLUGIN_DIR"
    );
    env::join_paths(dirs).unwrap()
}

/// Runs a command on a terminal where somebody types the PIN. The plugin throws away what was typed before it asks.
fn typed(desk: &Desk, command: &str) -> Said {
    desk.write(
        "typed.exp",
        format!(
            "set timeout 30
spawn {command}
expect {{
    -nocase \"enter pin\" {{ after 400; send \"111111\\r\"; exp_continue }}
    timeout {{ exit 91 }}
    eof
}}
exit [lindex [wait] 3]
"
        )
        .as_bytes(),
    );
    let output = Command::new("expect")
        .arg("typed.exp")
        .current_dir(desk.folder())
        .env("PCSCLITE_CSOCK_NAME", desk.rig.socket())
        .env("PATH", path_with_plugin())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said {
        ok: output.status.success(),
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

const GENERATE: &str = "age-plugin-yubikey --generate --slot 1 --name practice --pin-policy once --touch-policy always --force";

#[test]
fn age_plugin_yubikey_0_5_1_does_not_know_the_management_key_of_firmware_5_7() {
    let arguments = [
        "--pin",
        "111111",
        "--puk",
        "22222222",
        "--firmware",
        "5.7.4",
    ];
    let desk = Desk::new(&arguments);
    let said = typed(&desk, GENERATE);
    assert!(!said.ok, "{}", said.text);
    let state = desk.rig.state();
    assert_eq!(
        state["operations"].as_array().unwrap().last().unwrap(),
        &json!({ "ins": "87", "slot": "9b", "status": "6a80" })
    );
}

#[test]
fn age_plugin_yubikey_makes_an_identity_and_age_opens_with_it() {
    let arguments = ["--pin", "111111", "--puk", "22222222", "--touch", "auto"];
    let desk = Desk::new(&arguments);
    let said = typed(&desk, GENERATE);
    assert!(said.ok, "{}", said.text);
    let said = said.text;
    let word = |start: &str| {
        said.split_whitespace()
            .find(|word| word.starts_with(start))
            .unwrap_or_else(|| panic!("no {start}: {said}"))
            .to_owned()
    };
    desk.write(
        "identity",
        format!("{}\n", word("AGE-PLUGIN-YUBIKEY-")).as_bytes(),
    );
    let encrypted = Command::new("age")
        .args(["-r", &word("age1yubikey1"), "-o", "file.age", "message"])
        .current_dir(desk.folder())
        .env("PATH", path_with_plugin())
        .output()
        .unwrap();
    assert!(encrypted.status.success(), "{encrypted:?}");
    let touches = desk.rig.state()["touches"].as_u64().unwrap();
    let opened = typed(&desk, "age -d -i identity -o plain file.age");
    assert!(opened.ok, "{}", opened.text);
    assert_eq!(desk.read("plain"), desk.read("message"));
    assert_eq!(desk.rig.state()["touches"], touches + 1);
}
