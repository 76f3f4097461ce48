//! The owner of a project that names none.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::files::{self, TEXT_LIMIT};
use crate::model::{Owner, hex};

/// The default owner of a project: the name of its Git repository with the folders between this and the
/// project. A remote gives the same name in every clone. Without one it is the folder's name and a few
/// characters that are made from its path, since many folders are called `config`.
///
/// Git itself is not asked: whether it is installed, and trusts the folder, must not change the owner.
pub(super) fn derived_owner(folder: &Path) -> Owner {
    named_after(folder, |root| {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        format!("-{}", hex(&digest[..3]))
    })
}

/// The same without the characters for the place.
pub fn project_name(folder: &Path) -> Owner {
    named_after(folder, |_| String::new())
}

fn named_after(folder: &Path, place: impl Fn(&Path) -> String) -> Owner {
    let folder = files::folder(folder);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let repository = folder.ancestors().find(|above| above.join(".git").exists());
    let root = repository.unwrap_or(&folder);
    let name = root.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name = repository.and_then(remote_name).unwrap_or_else(|| format!("{name}{}", place(root)));
    let below = folder.strip_prefix(root).unwrap_or(Path::new(""));
    let parts =
        std::iter::once(name).chain(below.iter().map(|part| part.to_string_lossy().into_owned()));
    let slug = slug::slugify(parts.collect::<Vec<_>>().join("-"));
    let short: String = slug.chars().take(100).collect();
    Owner::new(&short).unwrap_or_default()
}

/// The last two parts of the address of `origin`: whose it is, and what.
fn remote_name(repository: &Path) -> Option<String> {
    let text = files::read_text(&config_of(&repository.join(".git")), TEXT_LIMIT).ok()?;
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == "[remote \"origin\"]")?;
    let in_section = lines.take_while(|line| !line.starts_with('['));
    let mut values = in_section.filter_map(|line| line.split_once('='));
    let (_, url) = values.find(|(name, _)| name.trim() == "url")?;
    let url = url.trim().trim_end_matches('/').trim_end_matches(".git");
    let mut parts = url.rsplit(['/', ':', '\\']).filter(|part| !part.is_empty());
    let last = parts.next()?;
    Some(parts.next().map_or_else(|| last.to_owned(), |above| format!("{above}-{last}")))
}

/// Git's configuration: in `.git`, or where the `.git` file of a worktree leads.
fn config_of(git: &Path) -> PathBuf {
    let pointed = files::read_text(git, TEXT_LIMIT).ok().and_then(|text| {
        let folder = git.parent()?.join(text.trim().strip_prefix("gitdir:")?.trim());
        let common = files::read_text(&folder.join("commondir"), TEXT_LIMIT).ok();
        Some(common.map_or(folder.clone(), |common| folder.join(common.trim())))
    });
    pointed.unwrap_or_else(|| git.to_owned()).join("config")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{derived_owner, project_name};

    fn repository(above: &Path, folder: &str, config: &str) -> std::path::PathBuf {
        let folder = above.join(folder);
        fs::create_dir_all(folder.join(".git")).unwrap();
        fs::write(folder.join(".git/config"), config).unwrap();
        folder
    }

    #[test]
    fn a_project_is_named_after_its_remote_and_else_after_its_folder() {
        let above = tempfile::tempdir().unwrap();
        let above = above.path();
        let plain = above.join("My House");
        fs::create_dir_all(&plain).unwrap();
        assert!(derived_owner(&plain).as_str().starts_with("my-house-"));
        assert_eq!(project_name(&plain).as_str(), "my-house");
        let local = repository(above, "clone", "[core]\n\tbare = false\n");
        assert!(derived_owner(&local).as_str().starts_with("clone-"));
        let others = above.join("other/clone");
        fs::create_dir_all(&others).unwrap();
        assert_ne!(derived_owner(&others), derived_owner(&local));
        let here = std::env::current_dir().unwrap();
        assert_eq!(derived_owner(Path::new("")), derived_owner(&here));
        for url in ["git@git.example:me/home-gitops.git", "https://git.example/me/home-gitops/"] {
            let config = format!("[remote \"origin\"]\n\turl = {url}\n\tfetch = x\n");
            let clone = repository(above, "clone", &config);
            assert_eq!(derived_owner(&clone).as_str(), "me-home-gitops");
            assert_eq!(project_name(&clone), derived_owner(&clone));
            let cabin = clone.join("houses/cabin");
            fs::create_dir_all(&cabin).unwrap();
            assert_eq!(derived_owner(&cabin).as_str(), "me-home-gitops-houses-cabin");
        }
    }

    #[test]
    fn a_worktree_has_the_owner_of_its_repository() {
        let above = tempfile::tempdir().unwrap();
        let above = above.path();
        let main = repository(above, "main", "[remote \"origin\"]\n\turl = https://x/house\n");
        let folder = main.join(".git/worktrees/other");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("commondir"), "../..\n").unwrap();
        let other = above.join("other");
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join(".git"), format!("gitdir: {}\n", folder.display())).unwrap();
        assert_eq!(derived_owner(&other), derived_owner(&main));
    }
}
