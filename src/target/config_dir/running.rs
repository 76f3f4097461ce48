//! Whether a Home Assistant without a lock of its own runs on a folder.
//!
//! Releases before `.ha_run.lock` (2024.3 among them) leave no trace but the process itself, so
//! the processes are looked through, on Linux. One counts when its command line is Home
//! Assistant's (`hass`, `python -m homeassistant`) and
//! - names the folder, as seen from its own root and working folder, so that a container with the
//!   folder mounted elsewhere is found too, or
//! - has one of the files open that Home Assistant keeps open there.
//!
//! Not seen: a process on another machine or in a virtual machine that shares the folder; one of a
//! process namespace that is not ours or below; and one of another user, unless we are root, that
//! was started with no folder (`~/.homeassistant`) or a relative one. Between the look and the write
//! one may start; it then reads the old file or the new one, both whole.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::files::{self, Stamp, TEXT_LIMIT};

const PROCESSES: &str = "/proc";

/// What a running Home Assistant keeps open in its folder: the log, the recorder's database, the
/// log of crashes.
const KEPT_OPEN: [&str; 3] =
    ["home-assistant.log", "home-assistant_v2.db", "home-assistant.log.fault"];

/// The id of a process that is Home Assistant on this folder.
pub(super) fn home_assistant_on(folder: &Path) -> Option<u32> {
    let wanted = identity(folder)?;
    let files: Vec<_> = KEPT_OPEN.iter().filter_map(|name| identity(&folder.join(name))).collect();
    let processes = fs::read_dir(PROCESSES).ok()?;
    let mut ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.find(|id: &u32| {
        let process = Path::new(PROCESSES).join(id.to_string());
        let Ok(command) = files::read(&process.join("cmdline"), TEXT_LIMIT) else { return false };
        let arguments: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        is_home_assistant(&arguments)
            && (arguments.iter().any(|argument| names(&process, argument, wanted))
                || has_open(&process, &files))
    })
}

/// Which file it is, by whatever path it is reached.
type Identity = (u64, u64);

fn identity(path: &Path) -> Option<Identity> {
    Stamp::of(path).map(|stamp| stamp.identity())
}

/// `hass --script …` does one thing and ends; it never writes credentials.
fn is_home_assistant(arguments: &[&[u8]]) -> bool {
    let is_module = arguments.windows(2).any(|pair| pair == [&b"-m"[..], b"homeassistant"]);
    let is_program = arguments.iter().any(|argument| {
        Path::new(OsStr::from_bytes(argument)).file_name() == Some("hass".as_ref())
    });
    (is_module || is_program) && !arguments.contains(&&b"--script"[..])
}

/// Whether an argument, be it `DIR`, `-cDIR` or `--config=DIR`, is the wanted folder.
fn names(process: &Path, argument: &[u8], wanted: Identity) -> bool {
    let behind_sign = argument.iter().position(|byte| *byte == b'=').map(|at| &argument[at + 1..]);
    let forms = [Some(argument), argument.strip_prefix(b"-c"), behind_sign];
    forms.into_iter().flatten().filter(|form| !form.is_empty()).any(|form| {
        let path = Path::new(OsStr::from_bytes(form));
        let seen_by_it = match path.strip_prefix("/") {
            Ok(inside) => process.join("root").join(inside),
            Err(_) => process.join("cwd").join(path),
        };
        identity(&seen_by_it).or_else(|| identity(path).filter(|_| path.is_absolute()))
            == Some(wanted)
    })
}

fn has_open(process: &Path, files: &[Identity]) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else { return false };
    open.flatten()
        .filter_map(|entry| identity(&entry.path()))
        .any(|identity| files.contains(&identity))
}

#[cfg(test)]
mod tests {
    use super::is_home_assistant;

    #[test]
    fn home_assistant_is_known_by_its_command_line() {
        let is =
            |line: &str| is_home_assistant(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        assert!(is("/srv/venv/bin/python3 /srv/venv/bin/hass -c /config"));
        assert!(is("python3 -m homeassistant --config /config"));
        assert!(is("hass"));
        assert!(!is("python3 -m homeassistantx"));
        assert!(!is("hass --script check_config -c /config"));
        assert!(!is("tail -f /home/hass/home-assistant.log"));
        assert!(!is("appcred -C /config apply"));
    }
}
