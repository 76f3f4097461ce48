//! The commits that are checked out beside one another: what they may hold, and whether they still hold that.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::fetch_error::FetchError;
use super::limited::{self, Deadline};
use super::signature::short;
use super::source::{GitSource, alone, not_written, succeeded};
use crate::files::{self, FileLock, NotLocked};
use crate::model::Visible;

/// So much of a commit is checked out. More would fill the disk of a small machine, and no project needs it.
const MOST_BYTES: u64 = 256 * MEGABYTE;
pub(super) const MOST_FILES: usize = 100_000;
pub(super) const MOST_MEGABYTES: u64 = MOST_BYTES / MEGABYTE;
const MEGABYTE: u64 = 1024 * 1024;
/// The list of so many files is shorter, unless their names are very long.
const LONGEST_LIST: u64 = 32 * MEGABYTE;
/// How Git lists a symbolic link.
const LINK: &[u8] = b"120000 ";

impl GitSource {
    /// Checks a commit out, unless it is already there as the commit has it.
    pub(super) fn check_out(
        &self,
        id: &str,
        deadline: Deadline<'_>,
    ) -> Result<FileLock, FetchError> {
        let (root, whole) = (self.commits().join(id), self.whole(id));
        if !self.is_whole(id) || !self.is_unchanged(id, deadline)? {
            // Who still reads it must not see it go.
            let _alone = whole.exists().then(|| FileLock::file(&whole, "")).transpose()?;
            let begun = fs::remove_file(&whole).or_else(if_missing).and_then(|()| remove(&root));
            let made = begun
                .map_err(|why| not_written(&root, &why))
                .and_then(|()| self.make(id, &root, deadline));
            if let Err(why) = made {
                // Of a full disk, so that there is room for the next attempt.
                return Err(remove(&root).map_or_else(|left| not_written(&root, &left), |()| why));
            }
            files::write(&whole, "", 0o600)
                .map_err(|why| FetchError::NotWritten(format!("{}: {why}", whole.visible())))?;
        }
        Ok(FileLock::shared(&whole)?)
    }

    fn make(&self, id: &str, root: &Path, deadline: Deadline<'_>) -> Result<(), FetchError> {
        let links = self.links(id, deadline)?;
        let mut add = self.git(&[]);
        add.args(["worktree", "add", "--quiet", "--force", "--detach"]).arg(root).arg(id);
        succeeded(alone(&mut add), deadline)?;
        for link in links {
            let target = fs::read_link(root.join(&link)).map_err(|why| not_written(&link, &why))?;
            if leads_out(&link, &target) {
                let path = link.visible().into_owned();
                return Err(FetchError::LinkOut { id: short(id), path });
            }
        }
        // That it is whole must not be on the disk before it is.
        files::sync_file_system(root).map(drop).map_err(|why| not_written(root, &why))
    }

    /// The symbolic links of a commit, which is looked at before it is written to the disk.
    fn links(&self, id: &str, deadline: Deadline<'_>) -> Result<Vec<PathBuf>, FetchError> {
        let mut list = self.git(&[]);
        list.args(["ls-tree", "-r", "-z", "-l", id]);
        let list = limited::output_up_to(LONGEST_LIST, &list, deadline)?;
        if !list.status.success() {
            return Err(FetchError::of(&list.stderr));
        }
        let (mut bytes, mut files, mut links) = (0, 0, Vec::new());
        for line in list.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let mut parts = line.splitn(2, |byte| *byte == b'\t');
            let about = parts.next().unwrap_or_default();
            let size = about.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            // Another repository has no size.
            bytes += str::from_utf8(size).ok().and_then(|size| size.parse().ok()).unwrap_or(0);
            files += 1;
            if let Some(path) = parts.next().filter(|_| about.starts_with(LINK)) {
                links.push(Path::new(OsStr::from_bytes(path)).to_owned());
            }
        }
        let is_cut = list.stdout.len() as u64 >= LONGEST_LIST;
        if is_cut || files > MOST_FILES || bytes > MOST_BYTES {
            return Err(FetchError::TooLarge { id: short(id), files, megabytes: bytes / MEGABYTE });
        }
        Ok(links)
    }

    /// Whether a commit is checked out whole, and belongs to the repository where that is now: its folder may have been
    /// moved, and the owner of a project is derived from the repository.
    pub(super) fn is_whole(&self, id: &str) -> bool {
        let text = files::read_text(&self.commits().join(id).join(".git"), files::TEXT_LIMIT);
        let own = text
            .ok()
            .and_then(|text| Path::new(text.trim().strip_prefix("gitdir: ")?).canonicalize().ok());
        let repository = self.repository().canonicalize();
        self.whole(id).exists()
            && own.zip(repository.ok()).is_some_and(|(own, all)| own.starts_with(all))
    }

    /// Whether the files of a commit are still those that it has: a disk or a hand may have changed them.
    pub(super) fn is_unchanged(
        &self,
        id: &str,
        deadline: Deadline<'_>,
    ) -> Result<bool, FetchError> {
        let mut status = super::command::git(&self.commits().join(id));
        status.args(["status", "--porcelain", "--untracked-files=all", "--ignored"]);
        let output = limited::output(alone(&mut status), deadline)?;
        Ok(output.status.success() && output.stdout.is_empty())
    }

    /// The file that is there when a commit is checked out whole.
    fn whole(&self, id: &str) -> PathBuf {
        self.commits().join(format!("{id}.lock"))
    }

    /// Removes the commits that nobody reads any more. One that is left is removed the next time.
    pub(super) fn remove_others(&self, kept: [Option<&str>; 2]) {
        // A run that was killed while it fetched anew has left this.
        let replaced = self.replaced();
        if let Err(why) = remove(&replaced) {
            tracing::debug!("{} is left: {why}", replaced.visible());
        }
        let Ok(entries) = fs::read_dir(self.commits()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(id) = name.to_str().filter(|name| !name.ends_with(".lock")) else { continue };
            if kept.contains(&Some(id)) {
                continue;
            }
            let whole = self.whole(id);
            let reading = whole.exists().then(|| FileLock::file(&whole, ""));
            if matches!(reading, Some(Err(NotLocked::Held { .. }))) {
                continue;
            }
            if let Err(why) =
                fs::remove_file(&whole).or_else(if_missing).and_then(|()| remove(&entry.path()))
            {
                tracing::debug!("{} is left: {why}", entry.path().visible());
            }
        }
    }
}

/// Whether a link of a commit leads to what is in no commit. What begins with a name never goes up again, since that
/// name may be a link as well.
fn leads_out(link: &Path, target: &Path) -> bool {
    let mut above = link.components().count().saturating_sub(1);
    let mut has_name = false;
    target.components().any(|part| match part {
        Component::RootDir | Component::Prefix(_) => true,
        Component::CurDir => false,
        Component::ParentDir if has_name || above == 0 => true,
        Component::ParentDir => {
            above -= 1;
            false
        }
        Component::Normal(_) => {
            has_name = true;
            false
        }
    })
}

pub(super) fn remove(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder).or_else(if_missing)
}

fn if_missing(why: io::Error) -> io::Result<()> {
    if why.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(why) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::leads_out;

    #[test]
    fn a_link_may_lead_to_what_is_in_the_commit_only() {
        let leads_out = |link: &str, target: &str| leads_out(Path::new(link), Path::new(target));
        for (link, target) in
            [("a", "b"), ("a", "./b/c"), ("x/a", "../b"), ("x/y/a", "../../b/c"), ("x/a", ".")]
        {
            assert!(!leads_out(link, target), "{link} -> {target}");
        }
        for (link, target) in [
            ("a", "/"),
            ("a", "/etc/x"),
            ("a", ".."),
            ("x/a", "../../b"),
            ("x/a", "y/../../.."),
            ("x/a", "y/.."),
        ] {
            assert!(leads_out(link, target), "{link} -> {target}");
        }
    }
}
