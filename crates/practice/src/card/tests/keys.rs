//! Keys: made, imported, used, described; every answer checked with the public half.

use super::*;
use crate::card::key::{Algorithm, Private};
use p256::{
    PublicKey,
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier},
};
use sha2::{Digest, Sha256};

fn point(answer: &[u8]) -> PublicKey {
    let inner = &answer[3..];
    PublicKey::from_sec1_bytes(tlv::only(0x86, inner).unwrap()).unwrap()
}

fn verifies(public: &PublicKey, digest: &[u8], signature: &[u8]) -> bool {
    VerifyingKey::from(public)
        .verify_prehash(digest, &Signature::from_der(signature).unwrap())
        .is_ok()
}

#[test]
fn a_generated_p256_key_signs_and_agrees() {
    let mut host = Host::new();
    let answer = host.generate(0x82, 0x11, 1, 1);
    assert_eq!(&answer[..2], [0x7F, 0x49]);
    let public = point(&answer);
    let digest = Sha256::digest(b"practice");
    let (signature, status) = host.sign(0x82, &digest);
    assert_eq!(status, OK);
    assert!(verifies(&public, &digest, &signature));

    let other = <p256::SecretKey as cipher::common::Generate>::generate();
    let mut inner = tlv::element(&[0x82], &[]);
    tlv::push(&mut inner, &[0x85], &other.public_key().to_sec1_bytes());
    let answer = host.ok([0x87, 0x11, 0x82], &tlv::element(&[0x7C], &inner));
    let secret = tlv::only(0x82, tlv::only(0x7C, &answer).unwrap()).unwrap();
    assert_eq!(
        secret,
        other.diffie_hellman(&public).raw_secret_bytes().as_slice()
    );
}

#[test]
fn points_off_the_curve_and_other_forms_are_refused() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 1, 1);
    let mut off = vec![4; 65];
    off[64] = 5;
    let compressed = [&[2u8][..], &[1; 32]].concat();
    for bad in [off, compressed, vec![0], vec![]] {
        let mut inner = tlv::element(&[0x82], &[]);
        tlv::push(&mut inner, &[0x85], &bad);
        assert_eq!(
            host.status([0x87, 0x11, 0x82], &tlv::element(&[0x7C], &inner)),
            0x6A80
        );
    }
    assert_eq!(host.sign(0x82, &[1; 33]).1, 0x6A80);
}

#[test]
fn rsa_answers_over_several_commands_and_verifies() {
    let mut host = Host::new();
    let answer = host.generate(0x9A, 0x07, 1, 1);
    assert_eq!(&answer[..5], [0x7F, 0x49, 0x82, 0x01, 0x09]);
    let elements = tlv::all(&answer[5..]).unwrap();
    let number = |tag| rsa::BoxedUint::from_be_slice_vartime(tlv::find(&elements, tag).unwrap());
    let public = rsa::RsaPublicKey::new(number(0x81), number(0x82)).unwrap();

    let digest = Sha256::digest(b"practice");
    let prefix = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let mut block = vec![0x00, 0x01];
    block.resize(256 - 1 - prefix.len() - digest.len(), 0xFF);
    block.push(0x00);
    block.extend_from_slice(&prefix);
    block.extend_from_slice(&digest);
    let mut inner = tlv::element(&[0x82], &[]);
    tlv::push(&mut inner, &[0x81], &block);
    let answer = host.ok([0x87, 0x07, 0x9A], &tlv::element(&[0x7C], &inner));
    let signature = tlv::only(0x82, tlv::only(0x7C, &answer).unwrap()).unwrap();
    public
        .verify(rsa::Pkcs1v15Sign::new::<Sha256>(), &digest, signature)
        .unwrap();

    let mut too_large = tlv::element(&[0x82], &[]);
    tlv::push(&mut too_large, &[0x81], &[0xFF; 256]);
    assert_eq!(
        host.status([0x87, 0x07, 0x9A], &tlv::element(&[0x7C], &too_large)),
        0x6A80
    );
    assert_eq!(
        host.sign(0x9A, &digest).1,
        0x6A80,
        "an RSA key is not used as P-256"
    );
}

#[test]
fn imported_keys_are_the_imported_ones() {
    let mut host = Host::new();
    let secret = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    assert_eq!(
        host.status([0xFE, 0x11, 0x83], &tlv::element(&[0x06], &[9; 32])),
        0x6982
    );
    host.manage();
    host.ok(
        [0xFE, 0x11, 0x83],
        &[
            &tlv::element(&[0x06], &[9; 32])[..],
            &[0xAA, 1, 1, 0xAB, 1, 1],
        ]
        .concat(),
    );
    let (signature, _) = host.sign(0x83, &[1; 32]);
    assert!(verifies(&secret.public_key(), &[1; 32], &signature));
    let metadata = host.ok([0xF7, 0x00, 0x83], &[]);
    assert_eq!(&metadata[..10], [1, 1, 0x11, 2, 2, 1, 1, 3, 1, 2]);
    assert_eq!(
        host.status([0xFE, 0x11, 0x83], &tlv::element(&[0x06], &[0; 32])),
        0x6A80
    );
}

#[test]
fn imported_rsa_primes_make_the_same_key() {
    let mut host = Host::new();
    let made = Private::generate(Algorithm::Rsa2048).unwrap();
    let [p, q] = <[Vec<u8>; 2]>::try_from(made.secrets()).unwrap();
    host.manage();
    host.ok(
        [0xFE, 0x07, 0x9D],
        &[tlv::element(&[1], &p), tlv::element(&[2], &q)].concat(),
    );
    let metadata = host.ok([0xF7, 0x00, 0x9D], &[]);
    let elements = tlv::all(&metadata).unwrap();
    assert_eq!(tlv::find(&elements, 4).unwrap(), made.public());
    for (p, q) in [(&p, &p), (&vec![0; 128], &q), (&p[..64].to_vec(), &q)] {
        assert_eq!(
            host.status(
                [0xFE, 0x07, 0x9D],
                &[tlv::element(&[1], p), tlv::element(&[2], q)].concat()
            ),
            0x6A80
        );
    }
}

#[test]
fn metadata_tells_policies_origin_and_public_key() {
    let mut host = Host::new();
    let public = host.generate(0x95, 0x11, 3, 2);
    let metadata = host.ok([0xF7, 0x00, 0x95], &[]);
    assert_eq!(&metadata[..10], [1, 1, 0x11, 2, 2, 3, 2, 3, 1, 1]);
    assert_eq!(&metadata[12..], &public[3..]);
    assert_eq!(host.status([0xF7, 0x00, 0x94], &[]), 0x6A88);
    assert_eq!(
        host.ok([0xF7, 0x00, 0x9B], &[]),
        [1, 1, 3, 2, 2, 0, 1, 5, 1, 1]
    );
    assert_eq!(
        Host::with_firmware((5, 2, 0)).status([0xF7, 0x00, 0x80], &[]),
        0x6D00
    );
}

#[test]
fn policies_that_are_not_said_are_those_of_the_slot() {
    let mut host = Host::new();
    host.manage();
    for (slot, pin) in [(0x9A, 2), (0x9C, 3), (0x9D, 2), (0x9E, 1), (0x82, 2)] {
        host.ok([0x47, 0x00, slot], &[0xAC, 0x03, 0x80, 0x01, 0x11]);
        assert_eq!(host.ok([0xF7, 0x00, slot], &[])[3..7], [2, 2, pin, 1]);
    }
}

#[test]
fn what_no_key_of_this_firmware_makes_is_refused() {
    let mut host = Host::new();
    assert_eq!(
        host.status([0x47, 0x00, 0x82], &[0xAC, 0x03, 0x80, 0x01, 0x11]),
        0x6982
    );
    host.manage();
    let mut generate =
        |slot, algorithm| host.status([0x47, 0x00, slot], &[0xAC, 0x03, 0x80, 0x01, algorithm]);
    assert_eq!(generate(0x96, 0x11), 0x6B00);
    for newer in [0xE0, 0xE1, 0x05, 0x16] {
        assert_eq!(generate(0x82, newer), 0x6A80, "not before 5.7");
    }
    assert_eq!(generate(0x82, 0x99), 0x6A80);
}

#[test]
fn the_management_key_is_3des_then_aes() {
    assert_eq!(Host::new().ok([0xF7, 0x00, 0x9B], &[])[2], 0x03);
    let mut host = Host::with_firmware((5, 7, 1));
    assert_eq!(host.ok([0xF7, 0x00, 0x9B], &[])[2], 0x0A);
    assert_eq!(
        host.status(
            [0xFF, 0xFF, 0xFF],
            &[&[0x0C, 0x9B, 32][..], &[5; 32]].concat()
        ),
        0x6982
    );
    host.manage();
    for (algorithm, length) in [(0x0C, 32), (0x08, 16), (0x0A, 24), (0x03, 24)] {
        host.ok(
            [0xFF, 0xFF, 0xFF],
            &[
                &[algorithm, 0x9B, length][..],
                &vec![5; usize::from(length)],
            ]
            .concat(),
        );
        host.select();
        host.manage();
        assert_eq!(
            host.ok([0xF7, 0x00, 0x9B], &[])[9],
            0,
            "no longer the factory key"
        );
    }
    assert_eq!(
        host.status(
            [0xFF, 0xFF, 0xFF],
            &[&[0x0A, 0x9B, 24][..], &[5; 23]].concat()
        ),
        0x6A80
    );
}

#[test]
fn a_wrong_witness_proves_nothing_and_takes_the_proof_away() {
    let mut host = Host::new();
    host.manage();
    let head = [0x87, 0x03, 0x9B];
    host.ok(head, &[0x7C, 0x02, 0x80, 0x00]);
    let wrong = [&[0x7C, 20, 0x80, 8][..], &[0; 8], &[0x81, 8], &[0; 8]].concat();
    assert_eq!(host.status(head, &wrong), 0x6982);
    assert_eq!(
        host.status(head, &wrong),
        0x6982,
        "a witness is good for one attempt"
    );
    assert_eq!(
        host.status([0x47, 0x00, 0x82], &[0xAC, 0x03, 0x80, 0x01, 0x11]),
        0x6982
    );
    assert_eq!(
        host.status([0x87, 0x0A, 0x9B], &[0x7C, 0x02, 0x80, 0x00]),
        0x6A80,
        "another algorithm than the key's"
    );
}
