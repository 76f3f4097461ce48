//! What was read before, so that only files that have changed are read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::entry::Decoded;
use crate::diagnostic::SourceFile;
use crate::files::Stamp;

/// The manifests as they were read last. It belongs to one project folder.
#[derive(Default)]
pub struct Cache {
    /// By what files of the project the manifests were read: what they may hold depends on them.
    project: Vec<Arc<SourceFile>>,
    files: HashMap<PathBuf, (Stamp, Arc<Decoded>)>,
}

impl Cache {
    /// Forgets everything if the files of the project are not as they were.
    pub(super) fn renew(&mut self, project: &[Arc<SourceFile>]) {
        let (before, now) = (self.project.iter(), project.iter());
        if !before.map(|file| file.text()).eq(now.map(|file| file.text())) {
            self.files.clear();
        }
        self.project = project.to_vec();
    }

    /// What a file was found to hold, if it is still the same file.
    pub(super) fn get(&self, path: &Path, stamp: Option<Stamp>) -> Option<Arc<Decoded>> {
        let (known, decoded) = self.files.get(path)?;
        (Some(*known) == stamp).then(|| Arc::clone(decoded))
    }

    /// Keeps what these files hold and forgets all others. What has changed just now is not kept: it
    /// may change again and look the same.
    pub(super) fn keep<'d>(
        &mut self,
        read: impl Iterator<Item = (&'d PathBuf, Option<Stamp>, &'d Arc<Decoded>)>,
        now: Timestamp,
    ) {
        let mut earlier = std::mem::take(&mut self.files);
        for (path, stamp, decoded) in read {
            let Some(stamp) = stamp.filter(|stamp| stamp.is_settled(now)) else { continue };
            let (path, _) = earlier
                .remove_entry(path)
                .unwrap_or_else(|| (path.clone(), (stamp, Arc::clone(decoded))));
            self.files.insert(path, (stamp, Arc::clone(decoded)));
        }
    }
}
