//! Saving one change: beside the same bytes encrypted and durably written, and how its own work and the file grow.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread,
    time::Duration,
};

use touchkeep_core::{ApiSecret, ItemId};
use touchkeep_vault::{AuditHead, Unlocked};

use crate::rig::{self, Figure, NOW, Place, row, time};

const ROUNDS: usize = 21;
/// About what a commit and the change of one note take.
const CHANGED_BYTES: usize = 120;
const SAVES: u64 = 1000;

pub(crate) fn saving(place: &Place) {
    let mut vault = place.unlocked();
    let id = vault.find(&place.name()).unwrap().id;
    let key = fs::read_to_string(&place.key).unwrap();
    let to = key.parse::<age::x25519::Identity>().unwrap().to_public();
    let bytes = fs::read(&place.vault).unwrap();
    let mut rounds = [const { Vec::new() }; 3];
    let mut busy = [const { Vec::new() }; 2];
    for round in 0..ROUNDS {
        let (taken, cpu) = measured(|| {
            drop(rig::encrypted(&to, &[7; CHANGED_BYTES]));
            replaced(&place.vault.with_extension("bare"), &bytes);
        });
        rounds[0].push(taken);
        busy[0].push(cpu);
        note(&mut vault, id, round);
        let (taken, cpu) = measured(|| save(&mut vault));
        rounds[1].push(taken);
        busy[1].push(cpu);
        let secret = ApiSecret::new(format!("another secret, of round {round}"));
        vault.set_secret(id, secret).unwrap();
        rounds[2].push(time(|| save(&mut vault)));
    }
    let again = place.unlocked();
    assert_eq!(
        again.item(id).unwrap().note,
        format!("round {}", ROUNDS - 1)
    );
    let secret = again.secret(id).unwrap();
    assert_eq!(
        *secret.expose(),
        format!("another secret, of round {}", ROUNDS - 1)
    );
    let [bare, note, secret] = rounds.map(Figure::of);
    row(
        &format!("encrypt + durable write, {} items", place.items),
        &bare,
        None,
    );
    row("  a note changed and saved", &note, Some(&bare));
    row("  a secret replaced and saved", &secret, Some(&bare));
    let [bare, note] = busy.map(Figure::of);
    row("  CPU of encrypting and writing", &bare, None);
    row("  CPU of a note's save", &note, Some(&bare));
}

fn note(vault: &mut Unlocked, id: ItemId, round: usize) {
    let mut item = vault.item(id).unwrap().clone();
    item.note = format!("round {round}");
    vault.put(item).unwrap();
}

fn save(vault: &mut Unlocked) {
    vault.save(NOW, AuditHead::empty()).unwrap();
}

// As any careful program replaces a file.
fn replaced(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("beside");
    let mut file = File::create(&beside).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    fs::rename(&beside, path).unwrap();
    File::open(path.parent().unwrap())
        .unwrap()
        .sync_all()
        .unwrap();
}

// The time, and the time that this thread was computing.
fn measured(work: impl FnOnce()) -> (Duration, Duration) {
    let before = computed();
    let taken = time(work);
    (taken, computed() - before)
}

fn computed() -> Duration {
    // Makes the kernel settle its account.
    thread::yield_now();
    let account = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = account.split(' ').next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

pub(crate) fn growth(place: &Place) {
    let mut vault = place.unlocked();
    let id = vault.find(&place.name()).unwrap().id;
    let bytes = || fs::metadata(&place.vault).unwrap().len();
    let (before, mut largest) = (bytes(), 0);
    for round in 0..SAVES {
        note(&mut vault, id, usize::try_from(round).unwrap());
        save(&mut vault);
        largest = largest.max(bytes());
    }
    let [after, most] = [bytes(), largest].map(|bytes| bytes.saturating_sub(before));
    println!(
        "{SAVES} saves, {} items: the file grew by {} bytes a save, {} kB in all, {} kB at most",
        place.items,
        after / SAVES,
        after >> 10,
        most >> 10
    );
}
