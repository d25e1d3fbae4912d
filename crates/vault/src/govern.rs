//! Devices, members and environments: each change of them is a link of the membership chain, signed by a device of an admin,
//! with whatever has to be encrypted anew because of it.

use touchkeep_container::{
    AuditHead, Change, Hash, MemberName, Membership, MembershipError, Note, NoteSignature,
    Statement, Value, words::Role,
};
use touchkeep_core::{DeviceId, EnvironmentId, Id, ItemId, UnixMillis, UserId};
use touchkeep_device::{Device, DeviceKind, KeyInfo, Purpose, SoftwareDevice, software, stanza};
use zeroize::Zeroizing;

use crate::{
    EnrolledDevice,
    create::{NewDevice, environment_name, user_name},
    crypt::{self, Bundle, LockedIdentity},
    error::VaultError,
    hand::{Hand, Stated, needed},
    item::{Item, SecretPlace},
    opened::OpenEnvironment,
    readme,
    save::Extra,
    unlocked::Unlocked,
};

/// Bytes of an environment's name.
const MAX_ENVIRONMENT_NAME: usize = 128;

/// What follows when a device is retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Items whose stored secrets whoever has the device, its PIN and an older copy of the file can read.
    pub readable: Vec<ItemId>,
    /// Items whose sealed secrets he can open, too.
    pub sealed: Vec<ItemId>,
    /// Sealed values that no device opens any more once this one is gone: item and field.
    pub closed: Vec<(ItemId, String)>,
    /// Items with a key on the device: it goes with it, and whoever has it and its PIN can sign with that key.
    pub on_device: Vec<ItemId>,
    /// Earlier versions that no device opens any more once this one is gone: item, field, and the last version that had it.
    pub lost: Vec<(ItemId, String, u32)>,
}

/// Somebody who is to become a member: what his own machine made. Nothing of it is secret.
pub struct Newcomer {
    user: UserId,
    device: DeviceId,
    name: String,
    stated: Stated,
    author: [u8; 32],
    recipient: String,
    bundle: Vec<u8>,
}

impl Newcomer {
    /// Makes his keys, encrypted to his device.
    ///
    /// # Errors
    /// The device lacks a key, or its maker does not vouch for it.
    pub fn new(name: String, device: &mut dyn Device, practice: bool) -> Result<Self, VaultError> {
        let id = DeviceId::random();
        let mut hand = Hand {
            device,
            auth: touchkeep_device::Auth::Nothing,
        };
        let stated = Stated::of(&mut hand, id, practice)?;
        let keys = Bundle::generate()?;
        let to = stanza::recipient(needed(&stated.info, Purpose::Unlock)?)?;
        let to: [&dyn age::Recipient; 1] = [&*to];
        Ok(Self {
            user: UserId::random(),
            device: id,
            name,
            stated,
            author: keys.author_public_key(),
            recipient: keys.identity.recipient().to_owned(),
            bundle: crypt::encrypt(to.into_iter(), &keys.to_plaintext())?,
        })
    }

    /// The id that he will have.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }
}

/// A change of the membership that waits for its signatures: made while the vault is only looked at, because a signature may
/// wait for a finger.
pub struct Proposal {
    text: String,
    signatures: Vec<NoteSignature>,
    extra: Extra,
}

impl Proposal {
    /// Signs it with an enrolled device.
    ///
    /// # Errors
    /// The device lacks the key, or did not sign.
    pub fn sign(&mut self, id: DeviceId, hand: &mut Hand<'_, '_>) -> Result<(), VaultError> {
        self.signatures.push(hand.signature(id, &self.text)?);
        Ok(())
    }
}

impl Unlocked {
    /// Enrols another device of whoever unlocked the vault. `hand` is a device that is enrolled already, and signs.
    ///
    /// Values that are sealed already stay closed to the new device until somebody seals them again: [`Unlocked::to_reseal`].
    ///
    /// # Errors
    /// The device lacks a key, is enrolled already, or its maker does not vouch for it; this user is no admin; or as
    /// [`Unlocked::save`].
    pub fn enroll(
        &mut self,
        new: NewDevice<'_>,
        hand: Hand<'_, '_>,
        now: UnixMillis,
        audit: AuditHead,
    ) -> Result<DeviceId, VaultError> {
        let (id, proposal) = self.propose_enroll(new, now)?;
        self.sign_and_enact(proposal, hand, now, audit)?;
        Ok(id)
    }

    /// The same up to the signature.
    ///
    /// # Errors
    /// As [`Unlocked::enroll`].
    pub fn propose_enroll(
        &self,
        new: NewDevice<'_>,
        now: UnixMillis,
    ) -> Result<(DeviceId, Proposal), VaultError> {
        self.may_govern()?;
        let id = DeviceId::random();
        let (stated, file) = match new {
            NewDevice::Software {
                passphrase,
                work_factor,
            } => {
                let (sealed, info) = software::generate(passphrase, work_factor)?;
                let mut device = SoftwareDevice::new(info, sealed.clone());
                (self.stated(&mut device, id)?, Some(sealed))
            }
            NewDevice::Hardware(device, _) => (self.stated(device, id)?, None),
        };
        let known = self.devices().iter();
        let is_there = |known: &&EnrolledDevice| {
            let mut keys = known.keys.iter();
            keys.any(|key| stated.info.keys.iter().any(|new| new.spki == key.spki))
        };
        match known.filter(is_there).map(|known| known.retired).min() {
            Some(true) => {
                let what = "a device with the keys of one that was retired";
                return Err(VaultError::Invalid(what));
            }
            Some(false) => return Err(VaultError::Invalid("a device that is enrolled already")),
            None => {}
        }
        let mut extra = Extra::default();
        let name = MemberName::Device {
            device: id,
            revision: Id::random(),
        };
        extra.add.extend(file.map(|file| (name, file)));
        let keys: Vec<KeyInfo> = self
            .own_devices()
            .flat_map(|device| device.keys.clone())
            .chain(stated.info.keys.iter().cloned())
            .collect();
        self.rewrap_bundle(&mut extra, &self.opened.bundle, &keys)?;
        let statements = stated.statements(id, self.user());
        Ok((id, self.proposal(extra, statements, now)))
    }

    fn stated(&self, device: &mut dyn Device, id: DeviceId) -> Result<Stated, VaultError> {
        let mut hand = Hand {
            device,
            auth: touchkeep_device::Auth::Nothing,
        };
        Stated::of(&mut hand, id, self.is_practice())
    }

    /// Retires a device that is lost or put away: it signs nothing any more, and opens nothing that is written from now on. The
    /// user gets new keys, and each environment that he can read a new epoch. What whoever has the device and an older copy
    /// can read is said.
    ///
    /// # Errors
    /// No such device of this user's, or it is the last one; or as [`Unlocked::enroll`].
    pub fn retire(
        &mut self,
        id: DeviceId,
        hand: Hand<'_, '_>,
        now: UnixMillis,
        audit: AuditHead,
    ) -> Result<Retired, VaultError> {
        let (follows, proposal) = self.propose_retire(id, now)?;
        self.sign_and_enact(proposal, hand, now, audit)?;
        Ok(follows)
    }

    /// The same up to the signature.
    ///
    /// # Errors
    /// As [`Unlocked::retire`].
    pub fn propose_retire(
        &self,
        id: DeviceId,
        now: UnixMillis,
    ) -> Result<(Retired, Proposal), VaultError> {
        self.may_govern()?;
        if !self.own_devices().any(|device| device.id == id) {
            return Err(VaultError::NotEnrolled);
        }
        let left: Vec<_> = self
            .own_devices()
            .filter(|device| device.id != id)
            .collect();
        if left.is_empty() {
            return Err(VaultError::LastDevice);
        }
        let keys: Vec<KeyInfo> = left.iter().flat_map(|device| device.keys.clone()).collect();
        let left: Vec<DeviceId> = left.iter().map(|device| device.id).collect();
        let follows = self.exposed_to(id, &left)?;

        let user = self.user();
        let bundle = Bundle::generate()?;
        let mut statements = vec![
            Statement::Retired(id),
            Statement::Author(user, bundle.author_public_key()),
            Statement::UserRecipient(user, bundle.identity.recipient().to_owned()),
        ];
        let mut extra = Extra::default();
        self.rewrap_bundle(&mut extra, &bundle, &keys)?;
        for environment in self.opened.environments.values() {
            self.next_epoch(environment, &bundle, None, &mut statements, &mut extra)?;
        }
        let names = self.locked.container.names();
        extra.drop.extend(
            names.filter(|name| matches!(name, MemberName::Device { device, .. } if *device == id)),
        );
        extra.bundle = Some(bundle);
        Ok((follows, self.proposal(extra, statements, now)))
    }

    fn exposed_to(&self, device: DeviceId, left: &[DeviceId]) -> Result<Retired, VaultError> {
        let items = || self.items().into_iter();
        let is_stored = |item: &&Item| item.places().any(|(_, it)| *it == SecretPlace::Stored);
        let opens = |item: &&Item| {
            let mut fields = item.places().map(|(field, _)| item.sealed_to(field));
            fields.any(|devices| devices.contains(&device))
        };
        let has = |item: &&Item| {
            let mut places = item.places();
            places.any(
                |(_, it)| matches!(it, SecretPlace::OnDevice { device: on, .. } if *on == device),
            )
        };
        let (stored, sealed) = (items().filter(is_stored), items().filter(opens));
        let mut lost = Vec::new();
        for item in self.items() {
            let alone = self.sealed_to_alone(item.id, device, left)?.into_iter();
            lost.extend(alone.map(|(field, version)| (item.id, field, version)));
        }
        Ok(Retired {
            readable: stored.map(|item| item.id).collect(),
            sealed: sealed.map(|item| item.id).collect(),
            closed: self.closed(Some(device)),
            on_device: items().filter(has).map(|item| item.id).collect(),
            lost,
        })
    }

    // A new key for an environment, and all its keys to whoever may still read it: to this user under this recipient.
    fn next_epoch(
        &self,
        environment: &OpenEnvironment,
        bundle: &Bundle,
        gone: Option<UserId>,
        statements: &mut Vec<Statement>,
        extra: &mut Extra,
    ) -> Result<(), VaultError> {
        let mut recipients = self.reader_recipients(environment.id, None)?;
        recipients.retain(|(reader, _)| Some(*reader) != gone);
        let own = bundle.identity.recipient().to_owned();
        let user = self.user();
        for (reader, recipient) in &mut recipients {
            if *reader == user {
                recipient.clone_from(&own);
            }
        }
        let new = LockedIdentity::generate()?;
        let epoch = u32::try_from(environment.identities.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let recipient = new.recipient().to_owned();
        statements.push(Statement::EnvironmentRecipient(
            environment.id,
            epoch,
            recipient,
        ));
        let all = environment.identities.iter().chain([&new]);
        for (epoch, identity) in (1..).zip(all) {
            self.rewrap_environment(extra, environment.id, epoch, identity, &recipients)?;
        }
        Ok(())
    }

    // Who may read an environment, and to what his keys are encrypted.
    fn reader_recipients(
        &self,
        environment: EnvironmentId,
        more: Option<(UserId, &str)>,
    ) -> Result<Vec<(UserId, String)>, VaultError> {
        let membership = self.locked.container.membership();
        let stated = membership.environments.get(&environment);
        let readers = &stated.ok_or(VaultError::NotAllowed)?.readers;
        let known = readers.iter().filter_map(|user| {
            let recipient = membership.users.get(user)?.recipient.clone()?;
            Some((*user, recipient))
        });
        let more = more.map(|(user, recipient)| (user, recipient.to_owned()));
        Ok(known.chain(more).collect())
    }

    fn rewrap_environment(
        &self,
        extra: &mut Extra,
        id: EnvironmentId,
        of: u32,
        identity: &LockedIdentity,
        recipients: &[(UserId, String)],
    ) -> Result<(), VaultError> {
        let parsed = recipients
            .iter()
            .map(|(_, text)| text.parse::<age::x25519::Recipient>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|text| VaultError::Encrypt(text.into()))?;
        let file = crypt::encrypt(
            parsed.iter().map(|to| to as &dyn age::Recipient),
            &identity.to_plaintext(),
        )?;
        let names = self.locked.container.names();
        extra.drop.extend(names.filter(|name| {
            matches!(name, MemberName::EnvironmentKey { environment, epoch, .. }
                if *environment == id && *epoch == of)
        }));
        let name = MemberName::EnvironmentKey {
            environment: id,
            epoch: of,
            revision: Id::random(),
        };
        extra.add.push((name, file));
        Ok(())
    }

    // A user's bundle, to the unlock keys among these.
    fn rewrap_bundle(
        &self,
        extra: &mut Extra,
        bundle: &Bundle,
        keys: &[KeyInfo],
    ) -> Result<(), VaultError> {
        let of = self.user();
        let unlocking = keys.iter().filter(|key| key.purpose == Purpose::Unlock);
        let recipients = unlocking
            .map(|key| Ok(stanza::recipient(key)?))
            .collect::<Result<Vec<_>, VaultError>>()?;
        let recipients = recipients.iter().map(|to| &**to as &dyn age::Recipient);
        let file = crypt::encrypt(recipients, &bundle.to_plaintext())?;
        let names = self.locked.container.names();
        extra.drop.extend(
            names.filter(|name| matches!(name, MemberName::User { user, .. } if *user == of)),
        );
        let name = MemberName::User {
            user: of,
            revision: Id::random(),
        };
        extra.add.push((name, file));
        Ok(())
    }

    /// Makes an environment that this user can read.
    ///
    /// # Errors
    /// As [`Unlocked::enroll`].
    pub fn add_environment(
        &mut self,
        name: &str,
        hand: Hand<'_, '_>,
        now: UnixMillis,
        audit: AuditHead,
    ) -> Result<EnvironmentId, VaultError> {
        self.check_environment_name(None, name)?;
        let (id, proposal) = self.propose_environment(now)?;
        self.sign_and_enact(proposal, hand, now, audit)?;
        self.name_environment(id, name)?;
        self.save(now, audit)?;
        Ok(id)
    }

    /// What [`Unlocked::add_environment`] does, to be signed elsewhere. The name is given once it is enacted.
    ///
    /// # Errors
    /// As [`Unlocked::add_environment`].
    pub fn propose_environment(
        &self,
        now: UnixMillis,
    ) -> Result<(EnvironmentId, Proposal), VaultError> {
        self.may_govern()?;
        let (id, user) = (EnvironmentId::random(), self.user());
        let identity = LockedIdentity::generate()?;
        let statements = vec![
            Statement::Environment(id),
            Statement::Grant(id, user),
            Statement::EnvironmentRecipient(id, 1, identity.recipient().to_owned()),
        ];
        let mut extra = Extra::default();
        let own = vec![(user, self.opened.bundle.identity.recipient().to_owned())];
        self.rewrap_environment(&mut extra, id, 1, &identity, &own)?;
        Ok((id, self.proposal(extra, statements, now)))
    }

    /// Whether an environment may be called so.
    ///
    /// # Errors
    /// It cannot be printed, or another environment is called so.
    pub fn check_environment_name(
        &self,
        id: Option<EnvironmentId>,
        name: &str,
    ) -> Result<(), VaultError> {
        let is_printable = !name.trim().is_empty() && !name.chars().any(char::is_control);
        if !is_printable || name.len() > MAX_ENVIRONMENT_NAME {
            return Err(VaultError::Invalid(
                "an environment without a printable name",
            ));
        }
        let mut others = self.environments().into_iter().filter(|it| Some(*it) != id);
        if others.any(|other| self.environment_name(other) == name) {
            return Err(VaultError::Invalid("a second environment of that name"));
        }
        Ok(())
    }

    /// Gives an environment a display name.
    ///
    /// # Errors
    /// The name cannot be printed or another environment has it, there is no such environment, or this user may not write in it.
    pub fn name_environment(&mut self, id: EnvironmentId, name: &str) -> Result<(), VaultError> {
        self.check_environment_name(Some(id), name)?;
        if id == self.main() {
            return self.set_setting(&environment_name(id), name);
        }
        let value = Value::new(Zeroizing::new(name.to_owned()));
        let pending = &mut self.writable(id)?.pending;
        pending.settings.insert(environment_name(id), Some(value));
        Ok(())
    }

    /// Lets somebody in, with a role, into environments that this user can read. Both devices sign one text: the admin's, and the
    /// newcomer's, which certifies his author key.
    ///
    /// # Errors
    /// As [`Unlocked::enroll`]; or an environment that is closed to this user.
    pub fn admit(
        &mut self,
        newcomer: &Newcomer,
        (role, environments): (Role, &[EnvironmentId]),
        own: Hand<'_, '_>,
        theirs: Hand<'_, '_>,
        (now, audit): (UnixMillis, AuditHead),
    ) -> Result<(), VaultError> {
        self.may_govern()?;
        let (user, device) = (newcomer.user, newcomer.device);
        let mut statements = vec![Statement::User(user)];
        statements.extend(newcomer.stated.statements(device, user));
        statements.push(Statement::Author(user, newcomer.author));
        statements.push(Statement::Role(user, role));
        statements.push(Statement::UserRecipient(user, newcomer.recipient.clone()));
        let mut extra = Extra::default();
        let name = MemberName::User {
            user,
            revision: Id::random(),
        };
        extra.add.push((name, newcomer.bundle.clone()));
        for id in environments {
            let open = self.opened.environments.get(id);
            let open = open.ok_or(VaultError::NotAllowed)?;
            statements.push(Statement::Grant(*id, user));
            let more = Some((user, newcomer.recipient.as_str()));
            let recipients = self.reader_recipients(*id, more)?;
            for (epoch, identity) in (1..).zip(&open.identities) {
                self.rewrap_environment(&mut extra, *id, epoch, identity, &recipients)?;
            }
        }
        let mut proposal = self.proposal(extra, statements, now);
        let mut theirs = theirs;
        proposal.sign(device, &mut theirs)?;
        self.sign_and_enact(proposal, own, now, audit)?;
        let main = self.environment();
        if self.may_write() && environments.contains(&main) {
            self.set_setting(&user_name(user), &newcomer.name)?;
            self.save(now, audit)?;
        }
        Ok(())
    }

    /// Changes what somebody may do. Who is gone may read nothing any more: what he could read gets new keys, and his own leave
    /// the file. What he has an older copy of he can read there.
    ///
    /// # Errors
    /// As [`Unlocked::enroll`]; or he is to go, and could read an environment that is closed to this user.
    pub fn set_role(
        &mut self,
        user: UserId,
        role: Role,
        hand: Hand<'_, '_>,
        (now, audit): (UnixMillis, AuditHead),
    ) -> Result<(), VaultError> {
        self.may_govern()?;
        let mut statements = vec![Statement::Role(user, role)];
        let mut extra = Extra::default();
        if role == Role::Gone {
            self.cut_off(user, &mut statements, &mut extra)?;
        }
        let proposal = self.proposal(extra, statements, now);
        self.sign_and_enact(proposal, hand, now, audit)
    }

    fn cut_off(
        &self,
        user: UserId,
        statements: &mut Vec<Statement>,
        extra: &mut Extra,
    ) -> Result<(), VaultError> {
        let members = self.locked.container.membership();
        let known = members.environments.iter();
        for (id, _) in known.filter(|(_, known)| known.readers.contains(&user)) {
            let open = self.opened.environments.get(id);
            let open = open
                .filter(|open| open.is_current)
                .ok_or(VaultError::NotAllowed)?;
            statements.push(Statement::Revoke(*id, user));
            self.next_epoch(open, &self.opened.bundle, Some(user), statements, extra)?;
        }
        let is_his = |device: &DeviceId| {
            members
                .devices
                .get(device)
                .is_some_and(|it| it.user == user)
        };
        extra
            .drop
            .extend(self.locked.container.names().filter(|name| match name {
                MemberName::User { user: of, .. } => *of == user,
                MemberName::Device { device, .. } => is_his(device),
                _ => false,
            }));
        Ok(())
    }

    /// Joins a chain that was continued in two ways: what the longer branch says holds, and of the other what is said again
    /// here, which is nothing. What only the other branch knew is given up: its members' keys are dropped from the file, and what
    /// it let in opens nothing in it any more. [`Unlocked::branches`] tells what that is.
    ///
    /// # Errors
    /// As [`Unlocked::enroll`]; or the chain has one end.
    pub fn join(
        &mut self,
        hand: Hand<'_, '_>,
        now: UnixMillis,
        audit: AuditHead,
    ) -> Result<(), VaultError> {
        let proposal = self.propose_join(now)?;
        self.sign_and_enact(proposal, hand, now, audit)
    }

    /// The same, to be signed and enacted.
    ///
    /// # Errors
    /// As [`Unlocked::join`].
    pub fn propose_join(&self, now: UnixMillis) -> Result<Proposal, VaultError> {
        self.may_govern()?;
        let container = &self.locked.container;
        let latest = container.membership();
        let ends = container.chain().ends().into_iter().map(|end| end.head);
        let mut joined: Vec<Hash> = ends.filter(|head| *head != latest.head).collect();
        if joined.is_empty() {
            return Err(VaultError::Invalid("a join of one branch"));
        }
        joined.sort_unstable();
        let mut extra = Extra {
            drop: container
                .names()
                .filter(|name| !is_known(*name, latest))
                .collect(),
            ..Extra::default()
        };
        self.rewrap_all(&mut extra)?;
        extra.drop.sort_by_key(ToString::to_string);
        extra.drop.dedup();
        Ok(Proposal {
            text: self.change(vec![], joined, now).to_text(),
            signatures: vec![],
            extra,
        })
    }

    // What only the other branch let in must not go on opening the file: this user's keys, and those of what he can read, are encrypted
    // to whom the branch names that holds, and to nobody else.
    fn rewrap_all(&self, extra: &mut Extra) -> Result<(), VaultError> {
        let keys: Vec<KeyInfo> = self
            .own_devices()
            .flat_map(|device| device.keys.clone())
            .collect();
        self.rewrap_bundle(extra, &self.opened.bundle, &keys)?;
        for environment in self.opened.environments.values() {
            let recipients = self.reader_recipients(environment.id, None)?;
            for (epoch, identity) in (1..).zip(&environment.identities) {
                self.rewrap_environment(extra, environment.id, epoch, identity, &recipients)?;
            }
        }
        Ok(())
    }

    fn may_govern(&self) -> Result<(), VaultError> {
        let role = self.locked.container.membership().role(self.user());
        (role == Some(Role::Admin))
            .then_some(())
            .ok_or(VaultError::NotAllowed)
    }

    fn change(&self, statements: Vec<Statement>, joined: Vec<Hash>, time: UnixMillis) -> Change {
        let chain = self.locked.container.chain();
        let latest = self.locked.container.membership();
        let numbers = joined.iter().filter_map(|head| chain.get(*head));
        let highest = numbers.map(|link| link.number).max();
        Change {
            vault: self.id(),
            number: latest.number.max(highest.unwrap_or(0)) + 1,
            previous: latest.head,
            joined,
            time,
            statements,
        }
    }

    fn proposal(&self, extra: Extra, statements: Vec<Statement>, now: UnixMillis) -> Proposal {
        Proposal {
            text: self.change(statements, vec![], now).to_text(),
            signatures: vec![],
            extra,
        }
    }

    fn sign_and_enact(
        &mut self,
        mut proposal: Proposal,
        mut hand: Hand<'_, '_>,
        now: UnixMillis,
        audit: AuditHead,
    ) -> Result<(), VaultError> {
        let signer = self.signing_device(&hand)?;
        proposal.sign(signer, &mut hand)?;
        self.enact(proposal, now, audit)
    }

    /// Carries a proposal out: saves the link, with the page of words as it reads then.
    ///
    /// # Errors
    /// [`VaultError::MembersChanged`] when the membership has changed since it was made, and nothing was written; or as
    /// [`Unlocked::save`].
    pub fn enact(
        &mut self,
        proposal: Proposal,
        now: UnixMillis,
        audit: AuditHead,
    ) -> Result<(), VaultError> {
        let Proposal {
            text,
            signatures,
            mut extra,
        } = proposal;
        let link = Note { text, signatures }.to_string().into_bytes();
        let next = self.locked.container.membership().next(&link);
        let (members, _) = next.map_err(|error| match error {
            MembershipError::Place => VaultError::MembersChanged,
            error => error.into(),
        })?;
        let page = readme::text(&members).into_bytes();
        extra.add.push((MemberName::Readme, page));
        extra.links.push(link);
        self.write(now, audit, extra)
    }

    fn signing_device(&self, hand: &Hand<'_, '_>) -> Result<DeviceId, VaultError> {
        let info = hand.device.info();
        let mut own = self.own_devices();
        own.find(|device| device.key_on(info, Purpose::SignVault).is_some())
            .map(|device| device.id)
            .ok_or(VaultError::NotEnrolled)
    }

    /// Whether a recovery kit, or a second device, could open the vault if one were lost.
    #[must_use]
    pub fn has_spare(&self) -> bool {
        let kinds: Vec<_> = self.own_devices().map(|device| device.kind).collect();
        kinds.len() > 1 || kinds.contains(&DeviceKind::Kit)
    }
}

fn is_known(name: MemberName, members: &Membership) -> bool {
    match name {
        MemberName::User { user, .. } => members.users.contains_key(&user),
        MemberName::Device { device, .. } => members.devices.contains_key(&device),
        MemberName::EnvironmentKey {
            environment, epoch, ..
        } => members
            .environments
            .get(&environment)
            .is_some_and(|known| epoch <= known.epoch()),
        MemberName::Segment(part) | MemberName::Snapshot(part) => {
            members.environments.contains_key(&part.environment)
        }
        _ => true,
    }
}
