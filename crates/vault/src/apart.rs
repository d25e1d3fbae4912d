//! What two copies wrote of one field without knowing of each other: one of the two texts holds once they are merged, and the
//! other one is kept as an earlier version, so that it can be had back.

use std::collections::BTreeSet;

use touchkeep_container::{
    Value, is_secret_field,
    op::Text,
    state::{ItemState, Stamp},
};
use touchkeep_core::{ItemId, UnixMillis};
use zeroize::Zeroizing;

use crate::{
    error::VaultError,
    item::{self, Item},
    unlocked::Unlocked,
    versions::{Saved, is_of_versions, made, old_key, visible_name},
};

/// A plain field that two copies changed, each without knowing of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// Of which item.
    pub item: ItemId,
    /// The field, as a person calls it.
    pub field: String,
    /// What the one copy has; none where it emptied it.
    pub here: Option<String>,
    /// What the other one has.
    pub there: Option<String>,
    key: String,
}

/// One of which a text was set aside by a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Of which item.
    pub item: ItemId,
    /// The field.
    pub field: String,
    /// What holds.
    pub holds: Option<String>,
    /// What does not hold any more.
    pub lost: Option<String>,
    /// The version of the item that has it, where it is kept.
    pub version: Option<u32>,
}

impl Apart {
    fn set_aside(&self, holds: Option<String>, version: Option<u32>) -> SetAside {
        let lost = match holds == self.here {
            true => self.there.clone(),
            false => self.here.clone(),
        };
        SetAside {
            item: self.item,
            field: self.field.clone(),
            holds,
            lost,
            version,
        }
    }
}

// A plain field, as it was written last.
type Written = (String, Stamp, Option<String>);

impl Unlocked {
    /// The plain fields that this copy and another one changed apart, as both were saved. Of items that only one of them has
    /// there is nothing to say, nor of secrets: a merge keeps both.
    ///
    /// # Errors
    /// One of the two cannot be read.
    pub fn written_apart(&self, other: &Self) -> Result<Vec<Apart>, VaultError> {
        let [known, theirs] = [self, other].map(|it| it.locked.container.history());
        let mut apart = Vec::new();
        for item in self.items() {
            let is_other = |other: &&Item| *other != item && other.environment == item.environment;
            if other.item(item.id).filter(is_other).is_none() {
                continue;
            }
            let there = other.plain_writes(item.id)?;
            for (key, stamp, here) in self.plain_writes(item.id)? {
                let Some((_, later, there)) = there.iter().find(|(of, ..)| *of == key) else {
                    continue;
                };
                let is_known = known.knows(later.commit) || theirs.knows(stamp.commit);
                if here != *there && !is_known {
                    apart.push(Apart {
                        item: item.id,
                        field: visible_name(&key).to_owned(),
                        here,
                        there: there.clone(),
                        key,
                    });
                }
            }
        }
        Ok(apart)
    }

    /// What of this holds here, and what does not. Nothing is kept of it.
    #[must_use]
    pub fn set_aside(&self, apart: &[Apart]) -> Vec<SetAside> {
        let of_item = |apart: &Apart| {
            let present = self.item(apart.item)?.file_fields();
            Some(apart.set_aside(present.get(&apart.key).cloned(), None))
        };
        apart.iter().filter_map(of_item).collect()
    }

    // Not when it was thrown away, which is shown, and no version keeps.
    fn plain_writes(&self, id: ItemId) -> Result<Vec<Written>, VaultError> {
        let told = self.told_of(id)?;
        let state = ItemState::of(&told, self.locked.container.history());
        let writes = state.iter().flat_map(ItemState::last_writes);
        let plain = writes.filter(|(key, ..)| {
            let is_place = item::sealed_to_name(key).is_some();
            !is_secret_field(key) && !is_place && !is_of_versions(key) && *key != "trashed"
        });
        // EXPOSE: fields that are not secret.
        let plain =
            plain.map(|(key, stamp, text)| (key.to_owned(), stamp, text.map(Text::to_text)));
        Ok(plain.collect())
    }

    /// Keeps, with the next save, what a merge set aside: as the version before the present one, with which the text that holds
    /// came. Says what that is.
    ///
    /// # Errors
    /// An item cannot be read, or this user may not write.
    pub fn keep_set_aside(
        &mut self,
        apart: Vec<Apart>,
        now: UnixMillis,
    ) -> Result<Vec<SetAside>, VaultError> {
        let mut set_aside = Vec::new();
        let ids: BTreeSet<ItemId> = apart.iter().map(|apart| apart.item).collect();
        for id in ids {
            let Some(item) = self.item(id).cloned() else {
                continue;
            };
            let own = apart.iter().filter(|apart| apart.item == id);
            let kept = self.keep_of_item(&item, own, now)?;
            set_aside.extend(kept);
        }
        Ok(set_aside)
    }

    fn keep_of_item<'a>(
        &mut self,
        item: &Item,
        apart: impl Iterator<Item = &'a Apart>,
        now: UnixMillis,
    ) -> Result<Vec<SetAside>, VaultError> {
        let version = self.free_version(item.id)?;
        let (by, present) = (self.user(), item.file_fields());
        let mut fields = Vec::new();
        let mut set_aside = Vec::new();
        for apart in apart {
            let holds = present.get(&apart.key).cloned();
            let aside = apart.set_aside(holds, Some(version));
            let old = aside.lost.clone().unwrap_or_default();
            fields.push((old_key(version, &apart.key), old));
            set_aside.push(aside);
        }
        let next = version.saturating_add(1);
        fields.extend(made(next, now, Some(by)));
        let pending = &mut self.writable(item.environment)?.pending;
        let pending = pending.items.entry(item.id).or_default();
        for (key, text) in fields {
            let text = Value::new(Zeroizing::new(text));
            pending.fields.insert(key, Some(text));
        }
        Ok(set_aside)
    }

    // The two copies may have counted differently: nothing that either keeps is written over.
    fn free_version(&self, id: ItemId) -> Result<u32, VaultError> {
        let told = self.told_of(id)?;
        let state = self.state_of(&told)?;
        Ok(Saved::of(&state).free())
    }
}
