//! Where changes of files show: folders to be watched, and the stamps of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use crate::files::{self, Stamp};

/// Files and folders, each with its stamp; none where nothing is.
pub(super) type Look = BTreeMap<PathBuf, Option<Stamp>>;

/// The stamps of everything that these places are about, so that two looks show a change between: the
/// places, all that is below them, and the folders above.
pub(super) fn look(places: &BTreeSet<PathBuf>) -> Look {
    let found = WatchedFolders::of(places);
    let inside = found.inside.iter().filter_map(|folder| folder.read_dir().ok());
    let files = inside.flatten().flatten().map(|entry| entry.path());
    let all = found.folders.iter().chain(places).cloned().chain(files);
    all.map(|path| {
        let stamp = Stamp::of(&path);
        (path, stamp)
    })
    .collect()
}

/// The folders in which a change of these places shows: each place itself and all folders below it,
/// the nearest one above it that exists, and those that hold a link on the way to it. Each folder is
/// there once, by whatever path it was found first.
pub(super) fn folders(places: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    WatchedFolders::of(places).folders
}

#[derive(Default)]
struct WatchedFolders {
    folders: BTreeSet<PathBuf>,
    /// Those of which every file counts.
    inside: BTreeSet<PathBuf>,
    /// Links may lead to one folder by many ways, and in circles.
    seen: BTreeSet<(u64, u64)>,
    ways: BTreeSet<PathBuf>,
}

impl WatchedFolders {
    fn of(places: &BTreeSet<PathBuf>) -> Self {
        let mut found = Self::default();
        for place in places {
            let mut above = place.parent();
            while let Some(folder) = above.map(files::folder) {
                if folder.is_dir() {
                    found.add(folder);
                    found.with_links(folder);
                    break;
                }
                above = folder.parent();
            }
            found.below(place);
        }
        found
    }

    /// Whether this is a folder that was not there yet.
    fn add(&mut self, folder: &Path) -> bool {
        let Some(stamp) = Stamp::of(folder).filter(|_| folder.is_dir()) else { return false };
        self.seen.insert(stamp.identity()) && self.folders.insert(folder.to_owned())
    }

    fn below(&mut self, place: &Path) {
        let mut folders = vec![place.to_owned()];
        while let Some(folder) = folders.pop() {
            // A folder that is here as the one above another has not been looked through yet.
            let is_first = folder == *place && self.folders.contains(&folder);
            if !self.add(&folder) && !is_first {
                continue;
            }
            let Ok(entries) = folder.read_dir() else { continue };
            self.inside.insert(folder.clone());
            let is_repository = |path: &Path| path.file_name().is_some_and(|name| name == ".git");
            let may_be_folder = |entry: &DirEntry| {
                entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink())
            };
            let paths = entries.flatten().filter(may_be_folder).map(|entry| entry.path());
            folders.extend(paths.filter(|path| !is_repository(path)));
        }
    }

    /// Whoever swaps a link changes the folder that holds it, and nothing behind it.
    fn with_links(&mut self, folder: &Path) {
        let mut way = folder;
        while self.ways.insert(way.to_owned()) {
            let Some(above) = way.parent().map(files::folder) else { return };
            if way.is_symlink() {
                self.add(above);
            }
            if above == way {
                return;
            }
            way = above;
        }
    }
}

/// Whether a folder is on a file system where others may change files without this machine's
/// operating system noticing.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(folder: &Path) -> bool {
    /// `statfs(2)`: NFS, SMB, CIFS, SMB2, 9p, FUSE (sshfs, virtiofs, Docker Desktop), AFS, Ceph, VirtualBox.
    const REMOTE: &[u32] = &[
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x5346_414f,
        0x00c3_6400,
        0x786f_4256,
    ];
    rustix::fs::statfs(folder).is_ok_and(|facts| {
        // The kernel's word has 32 bits, whatever the type that holds it.
        REMOTE.contains(&((facts.f_type as u64 & 0xffff_ffff) as u32))
    })
}

/// Nothing is known of others.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::{folders, is_remote, look};

    #[test]
    fn every_folder_is_watched_in_which_a_change_shows() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("one/credentials/deep/.git/objects")).unwrap();
        symlink("one", at("now")).unwrap();
        let watched = |places: &[&str]| -> BTreeSet<PathBuf> {
            folders(&places.iter().map(|place| at(place)).collect())
                .into_iter()
                .filter_map(|folder| Some(folder.strip_prefix(root.path()).ok()?.to_owned()))
                .collect()
        };
        let expect = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        let below = ["now", "now/credentials", "now/credentials/deep", ""];
        assert_eq!(watched(&["now/credentials"]), expect(&below));
        assert_eq!(watched(&["one/gone/deeper/file.yaml"]), expect(&["one"]));
    }

    #[test]
    fn two_looks_tell_of_a_change() {
        let root = tempfile::tempdir().unwrap();
        let places = BTreeSet::from([root.path().join("a"), root.path().join("b")]);
        let first = look(&places);
        assert_eq!(first, look(&places));
        fs::write(root.path().join("b"), "").unwrap();
        assert_ne!(first, look(&places));

        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("deep.yaml"), "a").unwrap();
        let places = BTreeSet::from([folder.path().to_owned()]);
        let first = look(&places);
        fs::write(folder.path().join("deep.yaml"), "longer").unwrap();
        assert_ne!(first, look(&places), "a file written in place changes no folder");
    }

    #[test]
    fn the_folder_of_temporary_files_is_of_this_machine() {
        assert!(!is_remote(&std::env::temp_dir()));
    }
}
