//! The owner of a project that names none.

use std::path::{Path, PathBuf};

use crate::files::{self, TEXT_LIMIT};
use crate::model::Owner;

/// The default owner of a project: the name of its Git repository, by its remote or else by its folder,
/// with the folders between the repository and the project. It is the same in every clone.
///
/// Git itself is not asked: whether it is installed, and trusts the folder, must not change the owner.
pub fn derived_owner(folder: &Path) -> Owner {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let repository = folder.ancestors().find(|above| above.join(".git").exists());
    let root = repository.unwrap_or(&folder);
    let name = repository.and_then(remote_name).or_else(|| name_of(root));
    let below = folder.strip_prefix(root).unwrap_or(Path::new(""));
    let parts =
        name.into_iter().chain(below.iter().map(|part| part.to_string_lossy().into_owned()));
    let slug = slug::slugify(parts.collect::<Vec<_>>().join("-"));
    let short: String = slug.chars().take(100).collect();
    Owner::new(&short).unwrap_or_default()
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The last part of the address of `origin`.
fn remote_name(repository: &Path) -> Option<String> {
    let text = files::read_text(&config_of(&repository.join(".git")), TEXT_LIMIT).ok()?;
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == "[remote \"origin\"]")?;
    let in_section = lines.take_while(|line| !line.starts_with('['));
    let mut values = in_section.filter_map(|line| line.split_once('='));
    let (_, url) = values.find(|(name, _)| name.trim() == "url")?;
    let last = url
        .trim()
        .trim_end_matches('/')
        .trim_end_matches(".git")
        .rsplit(['/', ':', '\\'])
        .next()?;
    (!last.is_empty()).then(|| last.to_owned())
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

    use super::derived_owner;

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
        assert_eq!(derived_owner(&plain).as_str(), "my-house");
        let local = repository(above, "clone", "[core]\n\tbare = false\n");
        assert_eq!(derived_owner(&local).as_str(), "clone");
        for url in ["git@git.example:me/home-gitops.git", "https://git.example/me/home-gitops/"] {
            let config = format!("[remote \"origin\"]\n\turl = {url}\n\tfetch = x\n");
            let clone = repository(above, "clone", &config);
            assert_eq!(derived_owner(&clone).as_str(), "home-gitops");
            let cabin = clone.join("houses/cabin");
            fs::create_dir_all(&cabin).unwrap();
            assert_eq!(derived_owner(&cabin).as_str(), "home-gitops-houses-cabin");
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
