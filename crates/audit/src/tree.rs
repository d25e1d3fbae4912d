//! The Merkle tree of RFC 6962, 2.1, as pure functions: hashes, appending, inclusion and consistency proofs.
//!
//! Complete subtrees never change. Each is named by its level and its place on that level, and is complete with one leaf: so it
//! is stored with that leaf, once, and an append writes at the end of one table and nowhere else.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// How many rows there are, and the hash over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Rows.
    pub size: u64,
    /// Root hash.
    pub root: Hash,
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Hash of bytes, without a tree's prefix.
pub(crate) fn plain_hash(bytes: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The root of no rows.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The hash of one row.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    sha256(&[&[0], data])
}

/// The hash of two subtrees.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    plain_hash(&bytes)
}

/// How many subtrees are complete with the leaf of this number, from 1: itself, and one for each level above.
#[must_use]
pub const fn completed_with(seq: u64) -> u32 {
    seq.trailing_zeros() + 1
}

/// The right edge of a tree: what an append needs to know of the rows before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>, // roots of the complete subtrees that make up the tree, largest first
}

impl Frontier {
    /// The edge of a stored tree of `size` leaves.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn load<E>(
        size: u64,
        mut read: impl FnMut(u32, u64) -> Result<Hash, E>,
    ) -> Result<Self, E> {
        let mut peaks = Vec::new();
        for level in (0..64).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(read(level, (size >> level) - 1)?);
        }
        Ok(Self { size, peaks })
    }

    /// Leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and tells the hash of every subtree that is complete with it, the leaf itself first.
    pub fn push(&mut self, leaf: Hash, completed: impl FnMut(&Hash)) {
        self.push_subtree(0, leaf, completed);
    }

    /// Adds a complete subtree of `1 << level` leaves to a tree whose size is a multiple of that, and tells the hash of every
    /// subtree that is complete with it, itself first.
    pub fn push_subtree(&mut self, level: u32, subtree: Hash, mut completed: impl FnMut(&Hash)) {
        let (mut index, mut hash) = (self.size >> level, subtree);
        completed(&hash);
        while index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            (index, hash) = (index >> 1, node_hash(&left, &hash));
            completed(&hash);
        }
        self.peaks.push(hash);
        self.size += 1 << level;
    }

    /// The root of a complete subtree that is all there is.
    #[must_use]
    pub fn only_peak(&self) -> Option<Hash> {
        match self.peaks[..] {
            [peak] => Some(peak),
            _ => None,
        }
    }

    /// This edge with another put behind it, of no more leaves than the smallest subtree of this one. Its head is right; nothing
    /// can be pushed where both end in subtrees of one size.
    #[must_use]
    pub fn followed_by(&self, other: &Self) -> Self {
        Self {
            size: self.size + other.size,
            peaks: [&self.peaks[..], &other.peaks].concat(),
        }
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> Head {
        let root = self
            .peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root);
        Head {
            size: self.size,
            root,
        }
    }
}

/// The root over leaves `from` to `to` of a stored tree, where `from` is what RFC 6962 splits at.
fn range<E>(
    from: u64,
    to: u64,
    read: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let count = to - from;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return read(level, from >> level);
    }
    let middle = from + split(count);
    Ok(node_hash(
        &range(from, middle, read)?,
        &range(middle, to, read)?,
    ))
}

// The largest power of two below `count` (RFC 6962, 2.1), for a count of at least two.
const fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// The root of the first `size` leaves of a stored tree.
///
/// # Errors
/// Those of `read`.
pub fn root_of<E>(size: u64, mut read: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(empty_root());
    }
    range(0, size, &mut read)
}

/// Proof that leaf `index` is in the tree of `size` leaves (RFC 6962, 2.1.1). Empty where there is no such leaf.
///
/// # Errors
/// Those of `read`.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    mut read: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    let (mut from, mut to) = (0, size);
    while index < size && to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            proof.push(range(middle, to, &mut read)?);
            to = middle;
        } else {
            proof.push(range(from, middle, &mut read)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows `leaf` at `index` of the tree `head` (RFC 9162, 2.1.3.2).
#[must_use]
pub fn includes(head: &Head, index: u64, leaf: &Hash, proof: &[Hash]) -> bool {
    if index >= head.size {
        return false;
    }
    let (mut node, mut last, mut root) = (index, head.size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && root == head.root
}

/// Proof that the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 6962, 2.1.2). Empty where nothing
/// needs a proof: `old` is none, or all.
///
/// # Errors
/// Those of `read`.
pub fn prove_consistency<E>(
    old: u64,
    new: u64,
    mut read: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut from, mut to) = (0, new);
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            proof.push(range(middle, to, &mut read)?);
            to = middle;
        } else {
            proof.push(range(from, middle, &mut read)?);
            from = middle;
        }
    }
    if from != 0 {
        proof.push(range(from, to, &mut read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that `old` is the beginning of `new` (RFC 9162, 2.1.4.2).
#[must_use]
pub fn extends(old: &Head, new: &Head, proof: &[Hash]) -> bool {
    if old.size == 0 || old.size >= new.size {
        let same = old.size == new.size && old.root == new.root;
        let from_nothing = old.size == 0 && old.root == empty_root();
        return proof.is_empty() && (same || from_nothing);
    }
    let whole = old.size.is_power_of_two().then_some(old.root);
    let mut path = whole.iter().chain(proof);
    let Some(first) = path.next() else {
        return false;
    };
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old_root, mut new_root) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_root = node_hash(sibling, &old_root);
            new_root = node_hash(sibling, &new_root);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_root = node_hash(&new_root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_root == old.root && new_root == new.root
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, convert::Infallible};

    use data_encoding::HEXLOWER;

    use super::*;

    // google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc: inputs and roots of the first 1 to 8 leaves.
    const INPUTS: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn leaf(i: u64) -> Hash {
        leaf_hash(&i.to_be_bytes())
    }

    struct Stored {
        nodes: HashMap<(u32, u64), Hash>,
        heads: Vec<Head>,
    }

    impl Stored {
        fn of(leaves: impl Iterator<Item = Hash>) -> Self {
            let mut frontier = Frontier::default();
            let mut stored = Self {
                nodes: HashMap::new(),
                heads: vec![frontier.head()],
            };
            for leaf in leaves {
                let (seq, mut level) = (frontier.size() + 1, 0);
                frontier.push(leaf, |hash| {
                    stored.nodes.insert((level, (seq >> level) - 1), *hash);
                    level += 1;
                });
                assert_eq!(level, completed_with(seq));
                stored.heads.push(frontier.head());
            }
            stored
        }

        fn read(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
            Ok(self.nodes[&(level, index)])
        }
    }

    // RFC 6962, 2.1, as it is written there.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let k = (many.len()).next_power_of_two() / 2;
                node_hash(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn the_roots_of_certificate_transparency() {
        let stored = Stored::of(
            INPUTS
                .map(|i| leaf_hash(&HEXLOWER.decode(i.as_bytes()).unwrap()))
                .into_iter(),
        );
        for (head, root) in stored.heads[1..].iter().zip(ROOTS) {
            assert_eq!(HEXLOWER.encode(&head.root), root);
        }
        assert_eq!(
            HEXLOWER.encode(&stored.heads[0].root),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    // Same file: "Audit path" and "Consistency proof" tables.
    #[test]
    fn the_proofs_of_certificate_transparency() {
        let stored = Stored::of(
            INPUTS
                .map(|i| leaf_hash(&HEXLOWER.decode(i.as_bytes()).unwrap()))
                .into_iter(),
        );
        let hex = |proof: Vec<Hash>| proof.iter().map(|h| HEXLOWER.encode(h)).collect::<Vec<_>>();
        assert_eq!(
            hex(prove_inclusion(5, 8, |l, i| stored.read(l, i)).unwrap()),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            hex(prove_consistency(6, 8, |l, i| stored.read(l, i)).unwrap()),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
    }

    #[test]
    fn every_small_tree_is_the_one_of_the_definition() {
        let leaves: Vec<_> = (0..70).map(leaf).collect();
        let stored = Stored::of(leaves.iter().copied());
        for size in 0..=70u64 {
            let head = stored.heads[size as usize];
            assert_eq!(head.root, by_definition(&leaves[..size as usize]));
            assert_eq!(root_of(size, |l, i| stored.read(l, i)).unwrap(), head.root);
            let loaded = Frontier::load(size, |l, i| stored.read(l, i)).unwrap();
            assert_eq!(loaded.head(), head);
        }
    }

    #[test]
    fn a_tree_in_pieces_is_the_tree() {
        let leaves: Vec<_> = (0..70).map(leaf).collect();
        let stored = Stored::of(leaves.iter().copied());
        let (mut whole, mut piece) = (Frontier::default(), Frontier::default());
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(whole.followed_by(&piece).head(), stored.heads[size]);
            let mut complete = Vec::new();
            piece.push(*leaf, |hash| complete.push(*hash));
            if piece.size() == 8 {
                whole.push_subtree(3, complete[3], |_| ());
                piece = Frontier::default();
            }
        }
    }

    #[test]
    fn every_small_proof_holds_and_no_changed_one_does() {
        let stored = Stored::of((0..34).map(leaf));
        for new in 1..=34u64 {
            let head = stored.heads[new as usize];
            for index in 0..new {
                let proof = prove_inclusion(index, new, |l, i| stored.read(l, i)).unwrap();
                assert!(includes(&head, index, &leaf(index), &proof));
                assert!(!includes(&head, index, &leaf(index + 1), &proof));
                assert!(!includes(&head, new, &leaf(index), &proof));
                if !proof.is_empty() {
                    assert!(!includes(&head, index, &leaf(index), &proof[1..]));
                }
            }
            for old in 0..=new {
                let before = stored.heads[old as usize];
                let proof = prove_consistency(old, new, |l, i| stored.read(l, i)).unwrap();
                assert!(extends(&before, &head, &proof), "{old} {new}");
                let mut forked = before;
                forked.root[0] ^= 1;
                assert!(!extends(&forked, &head, &proof), "{old} {new}");
                let mut other = head;
                other.root[0] ^= 1;
                assert!(old == 0 || !extends(&before, &other, &proof));
                for at in 0..proof.len() {
                    let mut bent = proof.clone();
                    bent[at][0] ^= 1;
                    assert!(!extends(&before, &head, &bent));
                }
            }
        }
    }
}
