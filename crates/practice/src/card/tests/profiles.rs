//! What firmwares differ in, one row each.

use super::*;

/// A firmware and what its keys do.
struct Profile {
    firmware: (u8, u8, u8),
    serial_over_piv: bool,
    metadata: bool,
    attests: bool,
    /// Algorithm byte of the factory's management key.
    management: u8,
    aes_management: bool,
    newer_algorithms: bool,
    moves_keys: bool,
}

const PROFILES: [Profile; 6] = [
    Profile {
        firmware: (4, 2, 8),
        serial_over_piv: false,
        metadata: false,
        attests: false,
        management: 0x03,
        aes_management: false,
        newer_algorithms: false,
        moves_keys: false,
    },
    Profile {
        firmware: (4, 3, 5),
        serial_over_piv: false,
        metadata: false,
        attests: true,
        management: 0x03,
        aes_management: false,
        newer_algorithms: false,
        moves_keys: false,
    },
    Profile {
        firmware: (5, 2, 7),
        serial_over_piv: true,
        metadata: false,
        attests: true,
        management: 0x03,
        aes_management: false,
        newer_algorithms: false,
        moves_keys: false,
    },
    Profile {
        firmware: (5, 3, 1),
        serial_over_piv: true,
        metadata: true,
        attests: true,
        management: 0x03,
        aes_management: false,
        newer_algorithms: false,
        moves_keys: false,
    },
    Profile {
        firmware: (5, 4, 3),
        serial_over_piv: true,
        metadata: true,
        attests: true,
        management: 0x03,
        aes_management: true,
        newer_algorithms: false,
        moves_keys: false,
    },
    Profile {
        firmware: (5, 7, 4),
        serial_over_piv: true,
        metadata: true,
        attests: true,
        management: 0x0A,
        aes_management: true,
        newer_algorithms: true,
        moves_keys: true,
    },
];

#[test]
fn each_firmware_has_what_it_has_and_refuses_the_rest() {
    for profile in PROFILES {
        let mut host = Host::with_firmware(profile.firmware);
        let or = |has, otherwise| if has { OK } else { otherwise };
        let named = profile.firmware;
        assert_eq!(
            host.status([0xF8, 0, 0], &[]),
            or(profile.serial_over_piv, 0x6D00),
            "{named:?}"
        );
        assert_eq!(
            host.status([0xF7, 0x00, 0x9B], &[]),
            or(profile.metadata, 0x6D00),
            "{named:?}"
        );
        let other = if profile.management == 0x03 {
            0x0A
        } else {
            0x03
        };
        assert_eq!(
            host.status([0x87, other, 0x9B], &[0x7C, 0x02, 0x80, 0x00]),
            0x6A80
        );
        host.generate(0x9A, 0x11, 1, 1);
        host.generate(0x9C, 0x14, 1, 1);
        assert_eq!(
            host.status([0xF9, 0x9C, 0x00], &[]),
            or(profile.attests, 0x6D00),
            "{named:?}"
        );
        for algorithm in [0xE0, 0xE1] {
            assert_eq!(
                host.status([0x47, 0x00, 0x82], &[0xAC, 3, 0x80, 1, algorithm]),
                or(profile.newer_algorithms, 0x6A80),
                "{named:?}"
            );
        }
        assert_eq!(
            host.status([0xF6, 0x9D, 0x9A], &[]),
            or(profile.moves_keys, 0x6D00),
            "{named:?}"
        );
        let key = [&[0x0A, 0x9B, 24][..], &[5; 24]].concat();
        assert_eq!(
            host.status([0xFF, 0xFF, 0xFF], &key),
            or(profile.aes_management, 0x6A80),
            "{named:?}"
        );
    }
}
