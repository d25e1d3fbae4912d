use std::fs;

use rusqlite::Connection;
use touchkeep_client::Paths;
use touchkeep_core::{Clock, Passphrase, SystemClock};
use touchkeep_device::Auth;
use touchkeep_vault::{Locked, NewDevice, NewVault};

use super::*;
use crate::{config::Config, state::State, vault::Armed};

// An agent with a vault under a passphrase.
struct World {
    _folder: tempfile::TempDir,
    agent: Arc<Agent>,
    current: Arc<Current>,
}

impl World {
    fn new() -> (Self, Box<Unlocked>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        fs::create_dir_all(&paths.data).unwrap();
        let state = State::open(&paths.data.join("state.sqlite")).unwrap();
        let agent = Agent::new(paths, Config::default(), state).unwrap();
        let path = folder.path().join("v.touchkeep");
        let passphrase = Self::passphrase();
        let device = NewDevice::Software {
            passphrase: &passphrase,
            work_factor: 4,
        };
        let new = NewVault {
            user_name: "Ada".to_owned(),
            environment_name: "prod".to_owned(),
            practice: true,
            device,
            now: SystemClock.now(),
        };
        let pins = crate::vault::pins(agent.paths());
        let vault = touchkeep_vault::create_pinned(&path, pins, new).unwrap();
        let (current, _locked) = Current::load(&path, agent.paths()).unwrap();
        let world = Self {
            _folder: folder,
            agent,
            current,
        };
        (world, Box::new(vault))
    }

    fn passphrase() -> Passphrase {
        Passphrase::new("a passphrase of the test".to_owned())
    }

    fn opened(&self) -> Box<Unlocked> {
        let locked = Locked::open(self.current.path()).unwrap();
        let mut device = locked.software_device(locked.devices()[0].id).unwrap();
        let auth = Self::passphrase();
        Box::new(locked.unlock(&mut device, Auth::Passphrase(&auth)).unwrap())
    }

    fn put_in_force(&self, vault: Box<Unlocked>) -> Result<(), Failure> {
        let by = OpenedBy::device(vault.devices()[0].id);
        let session = self.agent.devices().session();
        let kind = Kind::Unlocked;
        put_in_force(&self.agent, &self.current, vault, by, kind, session)
    }

    // From here on, or no more, the log takes no row.
    fn is_full(&self, full: bool) {
        let db = Connection::open(self.current.log_path()).unwrap();
        let sql = match full {
            true => {
                "CREATE TRIGGER full BEFORE INSERT ON row BEGIN SELECT RAISE(ABORT, 'full'); END"
            }
            false => "DROP TRIGGER full",
        };
        db.execute_batch(sql).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlock_that_fails_leaves_the_log_no_key_that_armed_keys_do_not_need() {
    let (mut world, vault) = World::new();
    tokio::task::spawn_blocking(move || {
        let log = log_of(&world.current, &vault).unwrap();
        drop(vault);
        world.is_full(true);
        let failed = world.put_in_force(world.opened()).unwrap_err();
        assert_eq!(failed.code, Code::AuditFailed, "{failed:?}");
        assert!(!log.holds_tag_key());
        world.is_full(false);
        world.put_in_force(world.opened()).unwrap();
        assert!(log.holds_tag_key());

        // As a lock that spares them leaves it.
        let open = world.current.replace(None).unwrap();
        let until = Uptime::now().after(std::time::Duration::from_secs(60));
        let armed = Armed::of(&world.agent, &world.current, &open, until).unwrap();
        world.agent.is_armed(armed);
        drop(open);
        // The next unlock reads the vault and its log anew; that log is not the one of the armed keys.
        let again = Current::load(world.current.path(), world.agent.paths())
            .unwrap()
            .0;
        world.is_full(true);
        world.put_in_force(world.opened()).unwrap_err();
        assert!(world.agent.armed().is_some() && log.holds_tag_key());
        world.current = again;
        let again = world.current.log().unwrap().clone();
        world.put_in_force(world.opened()).unwrap_err();
        assert!(world.agent.armed().is_some() && log.holds_tag_key());
        assert!(!again.holds_tag_key());
    })
    .await
    .unwrap();
}
