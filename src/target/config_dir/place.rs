//! Whether a folder can be that of a Home Assistant: another one is most likely a mistake in its path, and
//! credentials would be written where nobody reads them.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::STORAGE;
use crate::files;
use crate::model::Visible;
use crate::suggest::nearest;

/// What Home Assistant, or who sets one up, has in its folder.
const ITS_OWN: &[&str] = &[
    ".HA_VERSION",
    ".storage",
    "automations.yaml",
    "blueprints",
    "configuration.yaml",
    "custom_components",
    "deps",
    "packages",
    "scenes.yaml",
    "scripts.yaml",
    "secrets.yaml",
    "themes",
    "www",
];
/// What a file system has in its own folder.
const LOST_AND_FOUND: &str = "lost+found";

/// Why this cannot be the folder of a Home Assistant. One that is empty, or is not there yet, may become it.
pub(super) fn fault(folder: &Path) -> Option<String> {
    if let Some(above) = folder.ancestors().take(2).find(|above| above.ends_with(STORAGE)) {
        return Some(format!(
            "`{}` is in the folder where a Home Assistant stores its own files: `config_dir` is the folder above, `{}`",
            folder.visible(),
            files::folder_of(above).visible()
        ));
    }
    match fs::read_dir(folder) {
        Ok(entries) => {
            let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            is_of_another(&names).then(|| {
                format!(
                    "{} is not the configuration folder of a Home Assistant: it has files and neither `configuration.yaml` nor `.storage`; correct `config_dir`, or name an empty folder to prepare a new one",
                    folder.visible()
                )
            })
        }
        Err(why) if why.kind() == ErrorKind::NotFound => missing(folder),
        Err(why) if why.kind() == ErrorKind::NotADirectory => Some(format!(
            "`{}` is a file, or below one: `config_dir` is the folder that holds `configuration.yaml`",
            folder.visible()
        )),
        // Who reads it says why that is not possible.
        Err(_) => None,
    }
}

fn is_of_another(names: &[impl AsRef<OsStr>]) -> bool {
    let names = || names.iter().map(|name| name.as_ref().to_string_lossy());
    let is_own = |name: &str| ITS_OWN.contains(&name) || name.starts_with("home-assistant");
    !names().any(|name| is_own(&name))
        && names().any(|name| !name.starts_with('.') && name != LOST_AND_FOUND)
}

/// What is wrong with the path of a folder that is not there.
fn missing(folder: &Path) -> Option<String> {
    let parent = files::folder_of(folder);
    let likely = likely(folder).map(|likely| format!(": did you mean {}?", likely.visible()));
    if !parent.is_dir() {
        let likely = likely.unwrap_or_default();
        return Some(format!(
            "there is no folder {}, so {} is not made{likely}",
            parent.visible(),
            folder.visible()
        ));
    }
    let likely = likely?;
    Some(format!(
        "there is no folder {}{likely} To prepare a new Home Assistant there, make the folder first",
        folder.visible()
    ))
}

/// The folder of a Home Assistant whose path is almost this one.
fn likely(folder: &Path) -> Option<PathBuf> {
    let above = folder.ancestors().skip(1).find(|above| files::folder(above).is_dir())?;
    let behind = folder.strip_prefix(above).ok()?;
    let mut parts = behind.iter();
    let wanted = parts.next()?.to_string_lossy().into_owned();
    let with_rest = |name: &str| parts.clone().fold(above.join(name), |path, part| path.join(part));
    let is_one = |name: &String| {
        let path = with_rest(name);
        path.join("configuration.yaml").exists() || path.join(STORAGE).exists()
    };
    // Houses are numbered.
    let letters = |text: &str| text.replace(|part: char| part.is_ascii_digit(), "");
    let beside = fs::read_dir(files::folder(above)).ok()?.flatten();
    let names = beside.filter_map(|entry| entry.file_name().into_string().ok());
    let known: Vec<String> =
        names.filter(|name| letters(name) != letters(&wanted) && is_one(name)).collect();
    nearest(&wanted, known.iter().map(String::as_str)).map(with_rest)
}
