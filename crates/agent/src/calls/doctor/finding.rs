//! The names of findings, and how one is made. `docs/doctor.md` explains each; the test below keeps the two the same.

use touchkeep_wire::{Finding, Level};

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident = $name:literal),+ $(,)?) => {
        /// What can be found. The names are stable: scripts match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Id { $($(#[$doc])* $id),+ }

        impl Id {
            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $name),+ }
            }

            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$id),+];
        }
    };
}

ids! {
    /// Whether the agent runs and answers.
    AgentReach = "agent.reach",
    /// Whether the agent is of the version of the program that asks.
    AgentVersion = "agent.version",
    /// Whether the agent's program is still the one on disk.
    AgentProgram = "agent.program",
    /// Whether the agent looks for pcscd where this terminal would.
    AgentEnvironment = "agent.environment",
    /// Whether it is heard when the machine sleeps and the screen is locked.
    AgentSession = "agent.session",
    /// The configuration file.
    ConfigFile = "config.file",
    /// The folder of the sockets.
    FolderRun = "folder.run",
    /// The folder of logs and state.
    FolderData = "folder.data",
    /// Room on the disk.
    FolderSpace = "folder.space",
    /// The vault file.
    VaultFile = "vault.file",
    /// Who may read and write it.
    VaultMode = "vault.mode",
    /// Whether keys have expired, or are older than their rule says.
    VaultKeys = "vault.keys",
    /// Whether devices in use open what is sealed.
    VaultSealed = "vault.sealed",
    /// Whether something that opens it is connected.
    VaultDevice = "vault.device",
    /// Whether devices could be looked at at all.
    DeviceLook = "device.look",
    /// Whether pcscd runs.
    PcscdSocket = "pcscd.socket",
    /// Whether pcscd lets us in.
    PcscdAccess = "pcscd.access",
    /// Whether a YubiKey is connected.
    CardConnected = "card.connected",
    /// Whether another program keeps the card.
    CardBusy = "card.busy",
    /// Which other programs use the card service.
    CardShared = "card.shared",
    /// Whether a card answers as it should.
    CardAnswers = "card.answers",
    /// What its firmware cannot do.
    CardFirmware = "card.firmware",
    /// What is still the factory's.
    CardFactory = "card.factory",
    /// Tries of the PIN.
    CardPin = "card.pin",
    /// Tries of the PUK.
    CardPuk = "card.puk",
    /// Where the management key is.
    CardManagementKey = "card.management-key",
    /// The keys that are ours by name.
    CardKeys = "card.keys",
    /// Whether a PKCS#11 module may be loaded.
    ModuleFile = "module.file",
    /// Whether it is what it was.
    ModuleChanged = "module.changed",
    /// Whether it answers, and what tokens it sees.
    ModuleAnswers = "module.answers",
    /// Whether memory for keys and PINs can be locked.
    MemoryLocked = "memory.locked",
    /// Who we are.
    UserRoot = "user.root",
    /// Groups that were given after the session began.
    UserGroups = "user.groups",
    /// Whether we run in a sandbox.
    MachineSandbox = "machine.sandbox",
    /// The clock.
    MachineClock = "machine.clock",
    /// The desktop's window.
    DesktopWindow = "desktop.window",
    /// Desktop notifications.
    DesktopNotifications = "desktop.notifications",
}

impl Id {
    /// It is in order.
    #[must_use]
    pub fn ok(self, what: impl Into<String>) -> Finding {
        self.at(Level::Ok, what, "")
    }

    /// It is good to know.
    #[must_use]
    pub fn note(self, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.at(Level::Note, what, fix)
    }

    /// It will bite.
    #[must_use]
    pub fn warning(self, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.at(Level::Warning, what, fix)
    }

    /// It does not work.
    #[must_use]
    pub fn problem(self, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.at(Level::Problem, what, fix)
    }

    pub(super) fn at(
        self,
        level: Level,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            id: self.name().to_owned(),
            level,
            what: what.into(),
            fix: fix.into(),
            facts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_explains_each_finding_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/doctor.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let explained: Vec<&str> = rows
            .filter_map(|row| Some(row.split_once('`')?.0))
            .collect();
        let given: Vec<&str> = Id::ALL.iter().map(|id| id.name()).collect();
        assert_eq!(explained, given, "in this order, each once");
    }
}
