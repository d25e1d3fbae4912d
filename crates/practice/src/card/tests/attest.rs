//! Attestations: OpenSSL verifies them, and reads from them what the key was made with.

use super::*;
use crate::card::key::{Algorithm, Private};
use std::{fs, process::Command};
use tempfile::TempDir;

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lab");
const CERTIFICATE: [u8; 5] = [0x5C, 3, 0x5F, 0xFF, 0x01];

/// A folder with the certificates of one attestation, all as PEM.
struct Chain(TempDir);

impl Chain {
    /// Attests a slot.
    fn of(host: &mut Host, slot: u8) -> Self {
        let chain = Self(tempfile::tempdir().unwrap());
        chain.keep("leaf", &host.ok([0xF9, slot, 0x00], &[]));
        let object = host.ok([0xCB, 0x3F, 0xFF], &CERTIFICATE);
        let elements = tlv::all(tlv::only(0x53, &object).unwrap()).unwrap();
        chain.keep("f9", tlv::find(&elements, 0x70).unwrap());
        chain
    }

    fn keep(&self, name: &str, der: &[u8]) {
        fs::write(self.0.path().join(name).with_extension("der"), der).unwrap();
        let (ok, said) = self.openssl(&format!("x509 -inform DER -in {name}.der -out {name}.pem"));
        assert!(ok, "{said}");
    }

    /// Runs OpenSSL in the folder; the laboratory's certificates are LAB/….
    fn openssl(&self, arguments: &str) -> (bool, String) {
        let output = Command::new("openssl")
            .current_dir(self.0.path())
            .args(arguments.replace("LAB", LAB).split_whitespace())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    fn verifies(&self, arguments: &str) -> bool {
        self.openssl(&format!("verify {arguments} -untrusted f9.pem leaf.pem"))
            .0
    }

    fn text(&self, name: &str) -> String {
        self.openssl(&format!(
            "x509 -in {name}.pem -noout -text -certopt ext_dump"
        ))
        .1
    }
}

/// The bytes of an extension, as OpenSSL dumps them.
fn extension(text: &str, number: u8) -> Option<String> {
    let mut lines = text
        .lines()
        .skip_while(|line| line.trim() != format!("1.3.6.1.4.1.41482.3.{number}:"));
    let dump = lines.nth(1)?.trim().strip_prefix("0000 - ")?;
    Some(dump.split("   ").next().unwrap().to_owned())
}

#[test]
fn before_5_7_4_the_chain_ends_at_the_older_root() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 2, 3);
    let chain = Chain::of(&mut host, 0x82);
    assert!(chain.verifies("-CAfile LAB/piv-root-ca.pem"));
    assert!(!chain.verifies("-CAfile LAB/attestation-root-1.pem"));

    let text = chain.text("leaf");
    assert!(text.contains("Issuer: CN = Touchkeep Practice PIV Attestation\n"));
    assert!(text.contains("Subject: CN = Touchkeep Practice PIV Attestation 82\n"));
    assert_eq!(extension(&text, 3).unwrap(), "05 04 03");
    assert_eq!(extension(&text, 7).unwrap(), "02 05 00 ee 6b 28 7b");
    assert_eq!(extension(&text, 8).unwrap(), "02 03");
    assert_eq!(extension(&text, 9).unwrap(), "01");
    let text = chain.text("f9");
    assert!(text.contains("Issuer: CN = Touchkeep Practice PIV Root CA\n"));
    assert!(text.contains("CA:TRUE, pathlen:0"));
    assert_eq!(extension(&text, 3).unwrap(), "05 04 03");
}

#[test]
fn from_5_7_4_on_it_needs_two_certificates_that_are_not_on_the_card() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x9A, 0x11, 3, 2);
    let chain = Chain::of(&mut host, 0x9A);
    let root = "-CAfile LAB/attestation-root-1.pem";
    let shipped =
        "-untrusted LAB/attestation-intermediate-b-1.pem -untrusted LAB/piv-attestation-b-1.pem";
    assert!(chain.verifies(&format!("{root} {shipped}")));
    assert!(!chain.verifies(root));
    assert!(!chain.verifies(&format!("-CAfile LAB/piv-root-ca.pem {shipped}")));
    let text = chain.text("f9");
    assert!(text.contains("Issuer: CN = Touchkeep Practice PIV Attestation B 1\n"));
    assert!(text.contains("Not After : Dec 31 23:59:59 9999 GMT"));
    assert_eq!(extension(&chain.text("leaf"), 8).unwrap(), "03 02");
}

#[test]
fn a_changed_byte_does_not_verify() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 1, 1);
    let chain = Chain::of(&mut host, 0x82);
    let mut leaf = fs::read(chain.0.path().join("leaf.der")).unwrap();
    let policy = leaf
        .windows(4)
        .position(|bytes| bytes == [0x04, 0x02, 0x01, 0x01])
        .unwrap();
    leaf[policy + 3] = 2;
    chain.keep("leaf", &leaf);
    assert_eq!(extension(&chain.text("leaf"), 8).unwrap(), "01 02");
    assert!(!chain.verifies("-CAfile LAB/piv-root-ca.pem"));
}

#[test]
fn the_attested_key_is_the_key() {
    let mut host = Host::with_firmware((5, 7, 4));
    for (algorithm, name) in [
        (0x11, "prime256v1"),
        (0x14, "secp384r1"),
        (0x06, "RSA Public-Key: (1024 bit)"),
        (0xE0, "ED25519"),
        (0xE1, "X25519"),
    ] {
        host.generate(0x83, algorithm, 1, 1);
        let chain = Chain::of(&mut host, 0x83);
        let text = chain
            .text("leaf")
            .replace("Public-Key: (1024", "RSA Public-Key: (1024");
        assert!(text.contains(name), "{name}: {text}");
        let key = host.card.memory.keys[&crate::card::slot::Slot::new(0x83).unwrap()].clone();
        chain.openssl("x509 -in leaf.pem -noout -pubkey -out public.pem");
        assert!(
            chain
                .openssl("pkey -pubin -in public.pem -outform DER -out public.der")
                .0
        );
        assert_eq!(
            fs::read(chain.0.path().join("public.der")).unwrap(),
            key.private.public_key_info()
        );
    }
}

#[test]
fn only_keys_made_on_the_card_are_attested() {
    let mut host = Host::new();
    let attest = [0xF9, 0x82, 0x00];
    assert_eq!(host.status(attest, &[]), 0x6A80, "an empty slot");
    host.manage();
    host.ok([0xFE, 0x11, 0x82], &tlv::element(&[0x06], &[9; 32]));
    assert_eq!(host.status(attest, &[]), 0x6A80, "an imported key");
    assert_eq!(host.status([0xF9, 0xF9, 0x00], &[]), 0x6B00);
    assert_eq!(host.status([0xF9, 0x82, 0x01], &[]), 0x6A86);
    let mut older = Host::with_firmware((4, 2, 8));
    older.generate(0x82, 0x11, 1, 1);
    assert_eq!(older.status(attest, &[]), 0x6D00);
    assert_eq!(
        older.status([0x47, 0x00, 0xF9], &[0xAC, 3, 0x80, 1, 0x11]),
        0x6B00
    );
    assert_eq!(older.status([0xCB, 0x3F, 0xFF], &CERTIFICATE), 0x6A82);
}

#[test]
fn firmware_4_tells_neither_serial_nor_form() {
    let mut host = Host::with_firmware((4, 3, 5));
    host.generate(0x9C, 0x11, 3, 1);
    let chain = Chain::of(&mut host, 0x9C);
    assert!(chain.verifies("-CAfile LAB/piv-root-ca.pem"));
    let text = chain.text("leaf");
    assert_eq!(extension(&text, 3).unwrap(), "04 03 05");
    assert_eq!(extension(&text, 8).unwrap(), "03 01");
    assert_eq!((extension(&text, 7), extension(&text, 9)), (None, None));
}

#[test]
fn the_factory_key_survives_restart_and_reset_and_can_be_replaced_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let start = || {
        Host::with(
            (5, 4, 3),
            times(Duration::ZERO, Duration::ZERO),
            Some(&state),
        )
    };
    let factory = start().ok([0xF7, 0x00, 0xF9], &[]);
    assert_eq!(factory[..3], [0x01, 0x01, 0x07]);
    let mut host = start();
    let certificate = host.ok([0xCB, 0x3F, 0xFF], &CERTIFICATE);
    assert_eq!(host.ok([0xF7, 0x00, 0xF9], &[]), factory);
    for _ in 0..3 {
        host.status([0x20, 0x00, 0x80], b"000000\xFF\xFF");
        host.status([0x2C, 0x00, 0x80], b"0000000000000000");
    }
    host.ok([0xFB, 0, 0], &[]);
    assert_eq!(host.ok([0xF7, 0x00, 0xF9], &[]), factory);
    assert_eq!(host.ok([0xCB, 0x3F, 0xFF], &CERTIFICATE), certificate);
    assert_eq!(
        host.status([0x87, 0x07, 0xF9], &[0x7C, 0x02, 0x82, 0x00]),
        0x6B00,
        "it signs nothing else"
    );

    // Somebody's own authority: a key of another kind, with a certificate that OpenSSL made for it.
    host.manage();
    let own = Private::generate(Algorithm::P384).unwrap();
    host.ok(
        [0xFE, 0x14, 0xF9],
        &tlv::element(&[0x06], &own.secrets()[0]),
    );
    let chain = Chain(tempfile::tempdir().unwrap());
    for command in [
        "ecparam -name secp384r1 -genkey -noout -out root.key",
        "req -x509 -new -key root.key -subj /CN=Own -days 9 -out root.pem",
    ] {
        assert!(chain.openssl(command).0);
    }
    fs::write(chain.0.path().join("own.der"), own.public_key_info()).unwrap();
    fs::write(
        chain.0.path().join("ca.cnf"),
        "basicConstraints=critical,CA:TRUE,pathlen:0",
    )
    .unwrap();
    for command in [
        "pkey -pubin -inform DER -in own.der -out own.pem",
        "req -new -key root.key -subj /CN=Mine -out own.csr",
        "x509 -req -in own.csr -force_pubkey own.pem -CA root.pem -CAkey root.key -days 9 -extfile ca.cnf -outform DER -out mine.der",
    ] {
        let (ok, said) = chain.openssl(command);
        assert!(ok, "{said}");
    }
    let der = fs::read(chain.0.path().join("mine.der")).unwrap();
    let object = tlv::element(&[0x53], &tlv::element(&[0x70], &der));
    host.ok([0xDB, 0x3F, 0xFF], &[&CERTIFICATE[..], &object].concat());
    host.generate(0x82, 0x11, 1, 1);
    drop(host);
    let mut host = start();
    let theirs = Chain::of(&mut host, 0x82);
    fs::copy(
        chain.0.path().join("root.pem"),
        theirs.0.path().join("root.pem"),
    )
    .unwrap();
    assert!(theirs.verifies("-CAfile root.pem"));
    assert!(theirs.text("leaf").contains("Issuer: CN = Mine\n"));
}
