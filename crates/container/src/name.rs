//! Names of members. Each says what the member is and whose; a name that says neither is refused.

use std::{fmt, str::FromStr};

use touchkeep_core::{DeviceId, EnvironmentId, Id, ItemId, UserId};

use crate::{hash::Hash, tar::README_NAME};

/// What a member is, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberName {
    /// `README.txt`: how to recover.
    Readme,
    /// `genesis`.
    Genesis,
    /// `m/<n>-<hash>`: the n-th change of the membership chain.
    Membership {
        /// Its number, from 1.
        number: u32,
        /// The hash of its bytes.
        hash: Hash,
    },
    /// `u/<id>-<rev>.age`: a user's identity and author key.
    User {
        /// Whose.
        user: UserId,
        /// Random, one for each writing.
        revision: Id,
    },
    /// `k/<id>.<epoch>-<rev>.age`: an environment's identity.
    EnvironmentKey {
        /// Whose.
        environment: EnvironmentId,
        /// From 1.
        epoch: u32,
        /// Random, one for each writing.
        revision: Id,
    },
    /// `s/<id>/<n>-<random>.age`: operations of one save.
    Segment(Part),
    /// `b/<id>/<n>-<random>.age`: a snapshot.
    Snapshot(Part),
    /// `t/<id>-<rev>.age`: a sealed value.
    Sealed {
        /// Of which item.
        item: ItemId,
        /// Random, one for each value.
        revision: Id,
    },
    /// `d/<id>-<rev>.age`: the keys of a software device, under its passphrase.
    Device {
        /// Whose.
        device: DeviceId,
        /// Random, one for each writing.
        revision: Id,
    },
    /// `h/<hash>`: commits of which only this is left.
    Past(Hash),
    /// `c/<hash>`: a commit.
    Commit(Hash),
}

/// Which segment or snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// Of which environment.
    pub environment: EnvironmentId,
    /// One more than the highest that the writer knew. Only a hint for people: two writers may use the same.
    pub number: u32,
    /// Keeps the names of two writers apart.
    pub random: Id,
}

/// The text is no member's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a member")]
pub struct BadName;

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readme => f.write_str(README_NAME),
            Self::Genesis => f.write_str("genesis"),
            Self::Membership { number, hash } => write!(f, "m/{number}-{hash}"),
            Self::User { user, revision } => write!(f, "u/{user}-{revision}.age"),
            Self::EnvironmentKey {
                environment,
                epoch,
                revision,
            } => write!(f, "k/{environment}.{epoch}-{revision}.age"),
            Self::Segment(part) => write!(f, "s/{part}"),
            Self::Snapshot(part) => write!(f, "b/{part}"),
            Self::Sealed { item, revision } => write!(f, "t/{item}-{revision}.age"),
            Self::Device { device, revision } => write!(f, "d/{device}-{revision}.age"),
            Self::Past(hash) => write!(f, "h/{hash}"),
            Self::Commit(hash) => write!(f, "c/{hash}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}-{}.age",
            self.environment, self.number, self.random
        )
    }
}

impl FromStr for MemberName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        // One text for each name: what does not print the same was not canonical.
        read(text)
            .filter(|name| name.to_string() == text)
            .ok_or(BadName)
    }
}

fn read(text: &str) -> Option<MemberName> {
    match text {
        README_NAME => return Some(MemberName::Readme),
        "genesis" => return Some(MemberName::Genesis),
        _ => {}
    }
    let (folder, rest) = text.split_once('/')?;
    if folder == "c" {
        return Some(MemberName::Commit(rest.parse().ok()?));
    }
    if folder == "h" {
        return Some(MemberName::Past(rest.parse().ok()?));
    }
    if folder == "m" {
        let (number, hash) = rest.split_once('-')?;
        return Some(MemberName::Membership {
            number: positive(number)?,
            hash: hash.parse().ok()?,
        });
    }
    let rest = rest.strip_suffix(".age")?;
    match folder {
        "s" => return Some(MemberName::Segment(part(rest)?)),
        "b" => return Some(MemberName::Snapshot(part(rest)?)),
        _ => {}
    }
    let (whose, revision) = rest.split_once('-')?;
    let revision = revision.parse().ok()?;
    Some(match folder {
        "u" => MemberName::User {
            user: whose.parse().ok()?,
            revision,
        },
        "d" => MemberName::Device {
            device: whose.parse().ok()?,
            revision,
        },
        "k" => {
            let (environment, epoch) = whose.split_once('.')?;
            MemberName::EnvironmentKey {
                environment: environment.parse().ok()?,
                epoch: positive(epoch)?,
                revision,
            }
        }
        "t" => MemberName::Sealed {
            item: whose.parse().ok()?,
            revision,
        },
        _ => return None,
    })
}

fn part(rest: &str) -> Option<Part> {
    let (environment, rest) = rest.split_once('/')?;
    let (number, random) = rest.split_once('-')?;
    Some(Part {
        environment: environment.parse().ok()?,
        number: positive(number)?,
        random: random.parse().ok()?,
    })
}

fn positive(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_name_is_read_back_and_fits_into_a_header() {
        let (id, hash) = (Id::from_bytes([0xff; 16]), Hash([0xab; 32]));
        let part = Part {
            environment: EnvironmentId(id),
            number: u32::MAX,
            random: id,
        };
        for name in [
            MemberName::Readme,
            MemberName::Genesis,
            MemberName::Membership {
                number: u32::MAX,
                hash,
            },
            MemberName::User {
                user: UserId(id),
                revision: id,
            },
            MemberName::EnvironmentKey {
                environment: EnvironmentId(id),
                epoch: u32::MAX,
                revision: id,
            },
            MemberName::Segment(part),
            MemberName::Snapshot(part),
            MemberName::Sealed {
                item: ItemId(id),
                revision: id,
            },
            MemberName::Device {
                device: DeviceId(id),
                revision: id,
            },
            MemberName::Past(hash),
            MemberName::Commit(hash),
        ] {
            assert_eq!(name.to_string().parse(), Ok(name));
            assert!(crate::tar::is_name(&name.to_string()), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        let hash = "a".repeat(64);
        for bad in [
            "readme.txt".to_owned(),
            "x/y".into(),
            "genesis2".into(),
            format!("m/0-{hash}"),
            format!("m/01-{hash}"),
            format!("m/+1-{hash}"),
            format!("c/{hash}.age"),
            "u/x.age".into(),
            format!("h/{hash}.age"),
            format!("u/{}.age", Id::from_bytes([7; 16])),
            "s/x.age".into(),
        ] {
            assert_eq!(bad.parse::<MemberName>(), Err(BadName), "{bad}");
        }
    }
}
