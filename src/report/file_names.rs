//! What a file is called in a report that another program reads.

use std::path::{Component, Path, PathBuf};

use crate::model::{FileName, PROJECT_FILE};

/// Names files as the repository does, whatever folder the command ran in.
#[derive(Clone, Debug)]
pub struct FileNames {
    folder: PathBuf,
    repository: PathBuf,
    project: PathBuf,
}

impl FileNames {
    /// `folder` is where the command runs, `repository` the root of the checkout, and `project` the
    /// project's folder as given on the command line.
    pub fn new(folder: PathBuf, repository: PathBuf, project: PathBuf) -> Self {
        Self { folder, repository, project }
    }

    /// The file, from the root of the repository; what lies outside keeps its name.
    pub fn of(&self, file: &Path) -> FileName {
        let whole = plain(&self.folder.join(file));
        let name = whole.strip_prefix(plain(&self.repository)).unwrap_or(file);
        FileName::new(name.to_string_lossy())
    }

    /// The project file: the place of what has no other.
    pub fn project_file(&self) -> FileName {
        self.of(&self.project.join(PROJECT_FILE))
    }

    /// The project's folder; `.` where it is the root.
    pub fn project_folder(&self) -> FileName {
        match self.of(&self.project) {
            name if name.as_str().is_empty() => FileName::new("."),
            name => name,
        }
    }
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::FileNames;

    #[test]
    fn files_are_named_from_the_root_of_the_repository() {
        let names = |folder: &str, project: &str| {
            FileNames::new(PathBuf::from(folder), PathBuf::from("/repo/"), PathBuf::from(project))
        };
        assert_eq!(names("/repo", ".").of(Path::new("a.yaml")).as_str(), "a.yaml");
        assert_eq!(names("/repo/target", ".").of(Path::new("a.yaml")).as_str(), "target/a.yaml");
        assert_eq!(names("/repo/target", "..").of(Path::new("../a.yaml")).as_str(), "a.yaml");
        assert_eq!(names("/repo", "x").of(Path::new("/repo/./b/a.yaml")).as_str(), "b/a.yaml");
        assert_eq!(names("/repo", "x").of(Path::new("/other/a.yaml")).as_str(), "/other/a.yaml");
        assert_eq!(names("/repo/a", "../target").project_file().as_str(), "target/appcred.yaml");
        assert_eq!(names("/repo", ".").project_folder().as_str(), ".");
        assert_eq!(names("/repo", "target").project_folder().as_str(), "target");
    }
}
