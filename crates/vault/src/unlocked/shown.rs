//! Items as they are now: the saved state and what changed since. Put together when somebody looks.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use touchkeep_container::state::{ItemState, Told, items_of};
use touchkeep_core::{EnvironmentId, ItemId};

use super::Unlocked;
use crate::{crypt, error::VaultError, find::Index, item::Item, opened::OpenEnvironment};

#[derive(Default)]
pub(super) struct Shown {
    pub(super) items: BTreeMap<ItemId, Item>,
    pub(super) unreadable: Vec<ItemId>,
    // As of when it was put together. None comes without everything being read again.
    pub(super) in_conflict: Vec<ItemId>,
    // Put together when somebody looks for something.
    index: OnceLock<Index>,
}

// Items as they were saved, in no order. One list for all cores and environments: of lists that are thrown away the holes would stay.
#[derive(Default)]
struct Gathered {
    items: Vec<(ItemId, Item)>,
    unreadable: Vec<ItemId>,
    in_conflict: Vec<ItemId>,
}

impl Unlocked {
    /// Makes the view that of the saved state.
    pub(crate) fn show_saved(&mut self) {
        self.shown = OnceLock::new();
        let history = self.locked.container.history();
        let main = self.opened.environments.get(&self.main());
        let settings = main.map_or_else(Vec::new, |main| main.state.settings(history));
        self.settings = settings
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.to_value()))
            .collect();
    }

    pub(super) fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| {
            let mut gathered = Gathered::default();
            for environment in self.opened.environments.values() {
                self.gather(environment, &mut gathered);
            }
            gathered.unreadable.sort_unstable();
            gathered.in_conflict.sort_unstable();
            Shown {
                // Of what stands in two environments the later one is kept.
                items: gathered.items.into_iter().collect(),
                unreadable: gathered.unreadable,
                in_conflict: gathered.in_conflict,
                index: OnceLock::new(),
            }
        })
    }

    // Nearly every item stands in one line, and is put together where that is decrypted.
    fn gather(&self, environment: &OpenEnvironment, into: &mut Gathered) {
        let mut known = environment.state.known_items();
        into.items.reserve(known.len());
        known.retain(|_, lines| *lines > 1);
        let history = self.locked.container.history();
        let shared = Mutex::new(into);
        let told = environment.each_part(&self.locked.container, |name, text| {
            let mut others = Vec::new();
            for place in environment.state.places_in(name) {
                let line = place.of(text).unwrap_or_default();
                if known.contains_key(&place.item) {
                    others.push(Told::read(place, line).map_err(|_| crypt::content("s/"))?);
                    continue;
                }
                let state = ItemState::of_one(&place, line, history);
                let state = state.map_err(|_| crypt::content("s/"))?;
                self.gather_one(environment, place.item, &state, &shared);
            }
            Ok(others)
        });
        let told: Result<Vec<Vec<Told>>, VaultError> =
            told.and_then(|told| told.into_iter().collect());
        match told {
            Ok(told) => {
                let told: Vec<Told> = told.into_iter().flatten().collect();
                for (id, state) in items_of(&told, history) {
                    self.gather_one(environment, id, &state, &shared);
                }
            }
            // Everything was read once already: what cannot be read any more is not shown as if it was not there.
            Err(_) => {
                let into = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
                let is_other = |(_, item): &(ItemId, Item)| item.environment != environment.id;
                into.items.retain(is_other);
                into.unreadable
                    .extend(environment.state.known_items().into_keys());
            }
        }
    }

    fn gather_one(
        &self,
        environment: &OpenEnvironment,
        id: ItemId,
        state: &ItemState<'_>,
        shared: &Mutex<&mut Gathered>,
    ) {
        if !state.is_there() {
            return;
        }
        let item = self.read_item(environment.id, id, state);
        let mut into = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match item {
            Some(item) => into.items.push((id, item)),
            None => into.unreadable.push(id),
        }
        if state.is_in_conflict() {
            into.in_conflict.push(id);
        }
    }

    // Whoever may write may write any field: what a real vault cannot have is not read back either.
    pub(super) fn read_item(
        &self,
        environment: EnvironmentId,
        id: ItemId,
        state: &ItemState<'_>,
    ) -> Option<Item> {
        let is_allowed = |item: &Item| item.base_url.is_none() || self.locked.is_practice();
        Item::read(id, environment, state).filter(is_allowed)
    }

    pub(crate) fn index(&self) -> &Index {
        let shown = self.shown();
        shown.index.get_or_init(|| Index::of(shown.items.values()))
    }

    pub(super) fn change_shown(&mut self, change: impl FnOnce(&mut Shown)) {
        self.shown();
        if let Some(shown) = self.shown.get_mut() {
            shown.index = OnceLock::new();
            change(shown);
        }
    }
}
