//! age stanzas of device keys: writing them from a public key alone, and opening them with a Diffie-Hellman value that the
//! device computed.
//!
//! | stanza | arguments | body |
//! |---|---|---|
//! | `piv-p256` | SHA-256(recipient)[..4], ephemeral point | ChaCha20-Poly1305 under HKDF-SHA256(x, salt = both points, "piv-p256"), zero nonce |
//! | `p256tag` | 4 bytes of HKDF-Extract, encapsulated key | HPKE base mode, C2SP age `p256tag` |
//! | `X25519` | as age v1 | as age v1 |
//! | `ssh-rsa` | SHA-256(key as SSH writes it)[..4] | RSA-OAEP with SHA-256, as stock age |
//!
//! `piv-p256` is what released `age-plugin-yubikey` opens (0.5.1, no written standard); points in it are compressed. A
//! YubiKey's key is written to in both forms, a PKCS#11 key in the second, or in the last when it is RSA. Base64 is without padding.

use std::{collections::HashSet, io};

use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    primitives::{aead_decrypt, aead_encrypt, hkdf},
    secrecy::ExposeSecret,
};
use aws_lc_rs::{
    agreement::{self, ECDH_P256, EphemeralPrivateKey},
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use bech32::{Bech32, Hrp};
use touchkeep_core::text::quoted;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    device::{Algorithm, DeviceError, KeyInfo},
    hpke, oaep,
    public::{P256Point, RsaPublic, SSH_RSA, x25519_raw},
};

const PIV_TAG: &str = "piv-p256";
const P256TAG_TAG: &str = "p256tag";
const P256TAG_INFO: &str = "age-encryption.org/p256tag";
const TAG_BYTES: usize = 4;
const AEAD_BYTES: usize = 16;

const AGE: Hrp = Hrp::parse_unchecked("age");
const AGE_SECRET_KEY: Hrp = Hrp::parse_unchecked("age-secret-key-");
const AGE_TAG: Hrp = Hrp::parse_unchecked("age1tag");
const AGE_YUBIKEY: Hrp = Hrp::parse_unchecked("age1yubikey");
const PLUGIN_YUBIKEY: Hrp = Hrp::parse_unchecked("age-plugin-yubikey-");

/// The recipient of a key, from what is public of it.
///
/// # Errors
/// [`DeviceError::Unsupported`] when the key has no recipient, or one that is not of its public key.
pub fn recipient(key: &KeyInfo) -> Result<Box<dyn age::Recipient + Send>, DeviceError> {
    let odd = || DeviceError::Unsupported(format!("encryption to the key {}", quoted(&key.key.0)));
    let text = key.recipient.as_deref().ok_or_else(odd)?;
    match key.algorithm {
        Algorithm::X25519 => {
            let raw = x25519_raw(&key.spki).ok_or_else(odd)?;
            let parsed: age::x25519::Recipient = text.parse().map_err(|_| odd())?;
            if text != x25519_recipient(&raw) {
                return Err(odd());
            }
            Ok(Box::new(parsed))
        }
        Algorithm::P256 => {
            let point = P256Point::from_spki(&key.spki).ok_or_else(odd)?;
            let piv = text == yubikey_recipient(&point);
            if !piv && text != tag_recipient(&point) {
                return Err(odd());
            }
            let tag = tag_recipient(&point).parse().map_err(|_| odd())?;
            Ok(Box::new(P256Recipient { point, tag, piv }))
        }
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
            let public = RsaPublic::from_spki(&key.spki).ok_or_else(odd)?;
            if public.algorithm() != Some(key.algorithm) || text != public.ssh_text() {
                return Err(odd());
            }
            let sealing = PublicEncryptingKey::from_der(&key.spki).map_err(|_| odd())?;
            let sealing = OaepPublicEncryptingKey::new(sealing).map_err(|_| odd())?;
            Ok(Box::new(RsaRecipient { public, sealing }))
        }
        Algorithm::Ed25519
        | Algorithm::Secp256k1
        | Algorithm::HmacSha256
        | Algorithm::HmacSha384
        | Algorithm::HmacSha512 => Err(odd()),
    }
}

/// `age1yubikey1…`
#[must_use]
pub fn yubikey_recipient(point: &P256Point) -> String {
    bech32(AGE_YUBIKEY, &point.compressed())
}

/// `age1tag1…`
#[must_use]
pub fn tag_recipient(point: &P256Point) -> String {
    bech32(AGE_TAG, &point.compressed())
}

/// `age1…`
#[must_use]
pub fn x25519_recipient(raw: &[u8; 32]) -> String {
    bech32(AGE, raw)
}

/// `AGE-SECRET-KEY-1…`
pub(crate) fn secret_key_line(raw: &[u8; 32]) -> Zeroizing<String> {
    let lower = Zeroizing::new(bech32(AGE_SECRET_KEY, raw));
    Zeroizing::new(lower.to_uppercase())
}

/// The raw key of an `age1…` recipient.
#[must_use]
pub fn x25519_of_recipient(recipient: &str) -> Option<[u8; 32]> {
    let (hrp, data) = bech32::decode(recipient).ok()?;
    (hrp == AGE).then_some(data)?.try_into().ok()
}

/// `AGE-PLUGIN-YUBIKEY-1…`: what stock `age` with `age-plugin-yubikey` takes for `-i`. Public.
#[must_use]
pub fn yubikey_identity(serial: u32, slot: u8, point: &P256Point) -> String {
    let data = [&serial.to_le_bytes()[..], &[slot], &static_tag(point)].concat();
    bech32(PLUGIN_YUBIKEY, &data).to_uppercase()
}

fn bech32(hrp: Hrp, data: &[u8]) -> String {
    #[expect(
        clippy::expect_used,
        reason = "constant prefixes with at most 33 bytes stay under Bech32's 90 characters"
    )]
    bech32::encode_lower::<Bech32>(hrp, data).expect("short enough for Bech32")
}

struct P256Recipient {
    point: P256Point,
    tag: age::tag::Recipient,
    piv: bool,
}

impl age::Recipient for P256Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let (mut stanzas, labels) = self.tag.wrap_file_key(file_key)?;
        if self.piv {
            let piv = wrap_piv(&self.point, file_key);
            stanzas.insert(0, piv.ok_or_else(|| io::Error::other("no key agreement"))?);
        }
        Ok((stanzas, labels))
    }
}

fn wrap_piv(recipient: &P256Point, file_key: &FileKey) -> Option<Stanza> {
    let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    let share = P256Point::from_uncompressed(ephemeral.compute_public_key().ok()?.as_ref())?;
    let peer = agreement::UnparsedPublicKey::new(&ECDH_P256, recipient.uncompressed());
    let key = agreement::agree_ephemeral(ephemeral, peer, (), |x| {
        Ok(Zeroizing::new(piv_key(x, &share, recipient)))
    })
    .ok()?;
    Some(Stanza {
        tag: PIV_TAG.into(),
        args: vec![
            BASE64_STANDARD_NO_PAD.encode(static_tag(recipient)),
            BASE64_STANDARD_NO_PAD.encode(share.compressed()),
        ],
        // EXPOSE: the file key, to the cipher that wraps it.
        body: aead_encrypt(&key, file_key.expose_secret()),
    })
}

/// What stock age calls the use of the key in `ssh-rsa` stanzas: the label of RSA-OAEP.
pub const SSH_RSA_LABEL: &[u8] = b"age-encryption.org/v1/ssh-rsa";

struct RsaRecipient {
    public: RsaPublic,
    sealing: OaepPublicEncryptingKey,
}

impl age::Recipient for RsaRecipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let mut body = vec![0; self.sealing.ciphertext_size()];
        // EXPOSE: the file key, to the cipher that wraps it.
        let text = file_key.expose_secret();
        self.sealing
            .encrypt(
                &OAEP_SHA256_MGF1SHA256,
                text,
                &mut body,
                Some(SSH_RSA_LABEL),
            )
            .map_err(|_| io::Error::other("no RSA encryption"))?;
        let stanza = Stanza {
            tag: SSH_RSA.into(),
            args: vec![BASE64_STANDARD_NO_PAD.encode(ssh_tag(&self.public))],
            body,
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

fn ssh_tag(public: &RsaPublic) -> [u8; TAG_BYTES] {
    first_four(digest(&SHA256, &public.ssh_wire()).as_ref())
}

/// The body of the one `ssh-rsa` stanza that a device with this RSA key should decrypt: RSA-OAEP with SHA-256, MGF1 with SHA-256
/// and [`SSH_RSA_LABEL`]. No hardware was asked yet.
///
/// # Errors
/// [`DeviceError::NotForThisKey`] when none is well-formed and addressed to it.
pub fn addressed_rsa<'a>(key: &KeyInfo, stanzas: &'a [Stanza]) -> Result<&'a [u8], DeviceError> {
    let public = RsaPublic::from_spki(&key.spki).ok_or(DeviceError::NotForThisKey)?;
    let tag = BASE64_STANDARD_NO_PAD.encode(ssh_tag(&public));
    stanzas
        .iter()
        .find(|stanza| {
            stanza.tag == SSH_RSA
                && stanza.args == [tag.as_str()]
                && stanza.body.len() == public.modulus_bytes()
        })
        .map(|stanza| &stanza.body[..])
        .ok_or(DeviceError::NotForThisKey)
}

/// The file key in what a device decrypted with RSA-OAEP itself.
///
/// # Errors
/// [`DeviceError::NotForThisKey`] when it is none.
pub fn rsa_file_key(decrypted: &[u8]) -> Result<FileKey, DeviceError> {
    file_key(decrypted)
}

/// The file key in the block, as long as the modulus, that a device decrypted without looking at its padding.
///
/// # Errors
/// [`DeviceError::NotForThisKey`], whatever is wrong with it.
pub fn rsa_file_key_of_block(block: &[u8]) -> Result<FileKey, DeviceError> {
    let opened = oaep::unpad::<FILE_KEY_BYTES>(block, SSH_RSA_LABEL);
    file_key(&opened.ok_or(DeviceError::NotForThisKey)?[..])
}

fn file_key(bytes: &[u8]) -> Result<FileKey, DeviceError> {
    let mut bytes: [u8; FILE_KEY_BYTES] =
        bytes.try_into().map_err(|_| DeviceError::NotForThisKey)?;
    Ok(FileKey::init_with_mut(|place| {
        place.copy_from_slice(&bytes);
        bytes.zeroize();
    }))
}

fn piv_key(x: &[u8], share: &P256Point, recipient: &P256Point) -> [u8; 32] {
    let salt = [share.compressed(), recipient.compressed()].concat();
    hkdf(&salt, PIV_TAG.as_bytes(), x)
}

fn static_tag(point: &P256Point) -> [u8; TAG_BYTES] {
    first_four(digest(&SHA256, &point.compressed()).as_ref())
}

fn p256tag_tag(enc: &P256Point, recipient: &P256Point) -> [u8; TAG_BYTES] {
    let input = [&enc.uncompressed()[..], &static_tag(recipient)].concat();
    first_four(hpke::plain_extract(P256TAG_INFO.as_bytes(), &input).as_ref())
}

fn first_four(bytes: &[u8]) -> [u8; TAG_BYTES] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// A stanza that is addressed to one P-256 key. The four-byte tag says so, so no hardware was asked yet.
#[derive(Debug)]
pub struct Addressed<'a> {
    form: Form,
    share: P256Point,
    recipient: P256Point,
    body: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Piv,
    P256Tag,
}

/// The one stanza that a device with this key should open.
///
/// # Errors
/// [`DeviceError::NotForThisKey`] when none is well-formed and addressed to it.
pub fn addressed<'a>(key: &KeyInfo, stanzas: &'a [Stanza]) -> Result<Addressed<'a>, DeviceError> {
    let recipient = P256Point::from_spki(&key.spki).ok_or(DeviceError::NotForThisKey)?;
    stanzas
        .iter()
        .find_map(|stanza| Addressed::read(stanza, recipient))
        .ok_or(DeviceError::NotForThisKey)
}

impl<'a> Addressed<'a> {
    fn read(stanza: &'a Stanza, recipient: P256Point) -> Option<Self> {
        let [tag, share] = &stanza.args[..] else {
            return None;
        };
        let tag = BASE64_STANDARD_NO_PAD.decode(tag).ok()?;
        let share = BASE64_STANDARD_NO_PAD.decode(share).ok()?;
        let (form, share) = match stanza.tag.as_str() {
            PIV_TAG if tag == static_tag(&recipient) => {
                (Form::Piv, P256Point::from_compressed(&share)?)
            }
            P256TAG_TAG => {
                let share = P256Point::from_uncompressed(&share)?;
                (tag == p256tag_tag(&share, &recipient)).then_some((Form::P256Tag, share))?
            }
            _ => return None,
        };
        (stanza.body.len() == FILE_KEY_BYTES + AEAD_BYTES).then_some(Self {
            form,
            share,
            recipient,
            body: &stanza.body,
        })
    }

    /// The other side's point: what the device multiplies with its key.
    #[must_use]
    pub const fn share(&self) -> &P256Point {
        &self.share
    }

    /// Opens the file key with the x-coordinate (32 bytes) that the device computed from [`Self::share`].
    ///
    /// # Errors
    /// [`DeviceError::NotForThisKey`] when it does not open: the tag was another key's by chance, or the file is forged.
    pub fn open(&self, x: &[u8]) -> Result<FileKey, DeviceError> {
        let opened = match self.form {
            Form::Piv => {
                let key = Zeroizing::new(piv_key(x, &self.share, &self.recipient));
                aead_decrypt(&key, FILE_KEY_BYTES, self.body)
                    .ok()
                    .map(Zeroizing::new)
            }
            Form::P256Tag => hpke::open(
                x,
                &self.share,
                &self.recipient,
                P256TAG_INFO.as_bytes(),
                self.body,
            ),
        };
        file_key(&opened.ok_or(DeviceError::NotForThisKey)?)
    }
}

#[cfg(test)]
mod tests {
    use age::Recipient as _;
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, agree};

    use super::*;
    use crate::device::{KeyRef, Purpose, TouchPolicy};

    fn key_pair(recipient: fn(&P256Point) -> String) -> (PrivateKey, KeyInfo) {
        let private = PrivateKey::generate(&ECDH_P256).unwrap();
        let point =
            P256Point::from_uncompressed(private.compute_public_key().unwrap().as_ref()).unwrap();
        let info = KeyInfo {
            key: KeyRef("82".into()),
            purpose: Purpose::Unlock,
            algorithm: Algorithm::P256,
            spki: point.to_spki(),
            touch: TouchPolicy::Never,
            recipient: Some(recipient(&point)),
            identity: None,
            imported: false,
        };
        (private, info)
    }

    fn open(
        private: &PrivateKey,
        info: &KeyInfo,
        stanzas: &[Stanza],
    ) -> Result<FileKey, DeviceError> {
        let stanza = addressed(info, stanzas)?;
        let share = UnparsedPublicKey::new(&ECDH_P256, stanza.share().uncompressed());
        agree(private, share, DeviceError::NotForThisKey, |x| {
            stanza.open(x)
        })
    }

    fn submarine() -> FileKey {
        FileKey::init_with_mut(|key| key.copy_from_slice(b"yellow submarine"))
    }

    #[test]
    fn a_yubikey_key_opens_either_of_its_two_stanzas() {
        let (private, info) = key_pair(yubikey_recipient);
        let (stanzas, labels) = recipient(&info)
            .unwrap()
            .wrap_file_key(&submarine())
            .unwrap();
        assert!(labels.is_empty());
        let tags: Vec<_> = stanzas.iter().map(|s| s.tag.as_str()).collect();
        assert_eq!(tags, [PIV_TAG, P256TAG_TAG]);
        for stanza in stanzas {
            let opened = open(&private, &info, &[stanza]).unwrap();
            assert_eq!(opened.expose_secret(), b"yellow submarine");
        }
    }

    #[test]
    fn what_the_age_crate_writes_to_a_tag_recipient_opens() {
        let (private, info) = key_pair(tag_recipient);
        let theirs: age::tag::Recipient = info.recipient.as_deref().unwrap().parse().unwrap();
        let (stanzas, _) = theirs.wrap_file_key(&submarine()).unwrap();
        let opened = open(&private, &info, &stanzas).unwrap();
        assert_eq!(opened.expose_secret(), b"yellow submarine");
    }

    #[test]
    fn a_stanza_for_another_key_is_not_for_this_one() {
        let (private, info) = key_pair(yubikey_recipient);
        let (_, other) = key_pair(yubikey_recipient);
        let (stanzas, _) = recipient(&other)
            .unwrap()
            .wrap_file_key(&submarine())
            .unwrap();
        assert!(matches!(
            open(&private, &info, &stanzas),
            Err(DeviceError::NotForThisKey)
        ));
    }

    #[test]
    fn a_changed_stanza_does_not_open() {
        let (private, info) = key_pair(yubikey_recipient);
        let (stanzas, _) = recipient(&info)
            .unwrap()
            .wrap_file_key(&submarine())
            .unwrap();
        for mut stanza in stanzas {
            stanza.body[7] ^= 1;
            assert!(open(&private, &info, &[stanza]).is_err());
        }
    }

    #[test]
    fn a_recipient_of_another_public_key_is_refused() {
        let (_, mut info) = key_pair(yubikey_recipient);
        info.recipient = key_pair(yubikey_recipient).1.recipient;
        assert!(matches!(recipient(&info), Err(DeviceError::Unsupported(_))));
    }

    #[test]
    fn recipients_are_written_as_age_writes_them() {
        // The recipient of the age crate's own test.
        let text = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
        let (_, data) = bech32::decode(text).unwrap();
        assert_eq!(
            tag_recipient(&P256Point::from_compressed(&data).unwrap()),
            text
        );
        let theirs = age::x25519::Identity::generate().to_public().to_string();
        assert_eq!(
            x25519_recipient(&x25519_of_recipient(&theirs).unwrap()),
            theirs
        );
    }

    // Stock age encrypts to our recipient text; it opens what we encrypt with the key of ssh-keygen.
    #[test]
    fn stock_age_and_we_open_each_others_ssh_rsa_files() {
        use std::{
            io::{Read, Write},
            process::{Command, Stdio},
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key").to_str().unwrap().to_string();
        let run = |program: &str, arguments: &[&str], input: &[u8]| {
            let mut child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(input).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{program}");
            output.stdout
        };
        let make = [
            "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-b", "3072", "-f", &path,
        ];
        run("ssh-keygen", &make, b"");
        let der = ["rsa", "-pubout", "-outform", "DER", "-in", &path];
        let spki = run("openssl", &der, b"");
        let public = RsaPublic::from_spki(&spki).unwrap();
        let info = KeyInfo {
            key: KeyRef("01".into()),
            purpose: Purpose::Unlock,
            algorithm: Algorithm::Rsa3072,
            spki,
            touch: TouchPolicy::Never,
            recipient: Some(public.ssh_text()),
            identity: None,
            imported: false,
        };

        let ours = recipient(&info).unwrap();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&*ours as _)).unwrap();
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file).unwrap();
        writer.write_all(b"for age").unwrap();
        writer.finish().unwrap();
        assert_eq!(run("age", &["-d", "-i", &path], &file), b"for age");

        let theirs = run("age", &["-r", &public.ssh_text()], b"from age");
        let identity = OpenSsl { info, path };
        let mut text = Vec::new();
        let decryptor = age::Decryptor::new(&theirs[..]).unwrap();
        decryptor
            .decrypt(std::iter::once(&identity as _))
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, b"from age");
    }

    /// A key that OpenSSL decrypts with, either way that a token may.
    struct OpenSsl {
        info: KeyInfo,
        path: String,
    }

    impl age::Identity for OpenSsl {
        fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
            let body = addressed_rsa(&self.info, std::slice::from_ref(stanza)).ok()?;
            let label: String = SSH_RSA_LABEL.iter().map(|b| format!("{b:02x}")).collect();
            let label = format!("rsa_oaep_label:{label}");
            let oaep = [
                "rsa_padding_mode:oaep",
                "rsa_oaep_md:sha256",
                "rsa_mgf1_md:sha256",
                &label,
            ];
            let opened = rsa_file_key(&self.decrypt(body, &oaep)).unwrap();
            let block = self.decrypt(body, &["rsa_padding_mode:none"]);
            let unpadded = rsa_file_key_of_block(&block).unwrap();
            assert_eq!(opened.expose_secret(), unpadded.expose_secret());
            Some(Ok(opened))
        }
    }

    impl OpenSsl {
        fn decrypt(&self, body: &[u8], options: &[&str]) -> Vec<u8> {
            let sealed = format!("{}.sealed", self.path);
            std::fs::write(&sealed, body).unwrap();
            let mut command = std::process::Command::new("openssl");
            command.args(["pkeyutl", "-decrypt", "-inkey", &self.path, "-in", &sealed]);
            for option in options {
                command.args(["-pkeyopt", option]);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        }
    }
}
