//! Every call of every operation struck: V-01, V-03, V-04 and V-11.

use std::env;

use crate::{
    operation::{self, Operation},
    oracle::{Side, judge},
    scene::Scene,
    strike::campaign,
    tally::soak,
};

const SIZES: [usize; 5] = [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1];

/// Undisturbed. The campaigns run this test as processes of their own, one operation each, on folders of theirs.
#[test]
fn every_operation_does_what_it_is_to_do() {
    if env::var(operation::OPERATION).is_ok() {
        operation::perform_as_told();
    }
    for operation in [
        Operation::Create,
        Operation::Save(1),
        Operation::SaveTouched,
        Operation::Fold,
        Operation::Enroll,
        Operation::Retire,
        Operation::Merge,
        Operation::Restore,
        Operation::Pins,
    ] {
        let scene = Scene::new(operation);
        assert_eq!(judge(&scene, true), Ok(Side::New), "{operation:?}");
        // The judge sees a lie, too.
        scene.restore();
        assert!(judge(&scene, true).is_err(), "{operation:?}");
    }
}

#[test]
fn making_a_vault() {
    campaign(Operation::Create, 14);
}

#[test]
fn saving_one_change() {
    for size in SIZES {
        campaign(Operation::Save(size), 8);
    }
    campaign(Operation::SaveTouched, 14);
    if soak() > 0 {
        campaign(Operation::SaveInMany, 60 * soak());
    }
}

#[test]
fn saving_and_folding() {
    campaign(Operation::Fold, 6);
}

#[test]
fn enrolling_a_device() {
    campaign(Operation::Enroll, 14);
}

#[test]
fn retiring_a_device() {
    campaign(Operation::Retire, 14);
}

#[test]
fn merging_another_copy() {
    campaign(Operation::Merge, 12);
}

#[test]
fn going_back_to_a_backup() {
    campaign(Operation::Restore, 16);
}

#[test]
fn remembering_what_was_seen() {
    campaign(Operation::Pins, 12);
}
