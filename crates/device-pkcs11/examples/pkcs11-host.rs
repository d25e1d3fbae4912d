//! The child process alone, for the tests of this crate: `pkcs11-host --module /absolute/path.so`.
//!
//! With `PKCS11_HOST_FAULT=crash:N:FILE` or `hang:N:FILE` it does so in place of its Nth answer, unless FILE exists; it
//! writes its process id there before.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process, thread,
};

use touchkeep_device_pkcs11::host;

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: pkcs11-host --module PATH");
    let mut args = env::args_os().skip(1);
    let module = match (args.next(), args.next(), args.next()) {
        (Some(flag), Some(module), None) if flag == "--module" => PathBuf::from(module),
        _ => return Err(usage()),
    };
    let Ok(fault) = env::var("PKCS11_HOST_FAULT") else {
        return host::run(&module);
    };
    let mut parts = fault.splitn(3, ':');
    let (Some(kind), Some(at), Some(mark)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(usage());
    };
    let faulty = Faulty {
        crash: kind == "crash",
        at: at.parse().map_err(io::Error::other)?,
        mark: mark.into(),
        answered: 0,
    };
    host::serve(&module, io::stdin(), faulty)
}

struct Faulty {
    crash: bool,
    at: u32,
    mark: PathBuf,
    answered: u32,
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.answered + 1 == self.at && !self.mark.exists() {
            fs::write(&self.mark, process::id().to_string())?;
            if self.crash {
                process::abort();
            }
            loop {
                thread::park();
            }
        }
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.answered += 1;
        io::stdout().flush()
    }
}
