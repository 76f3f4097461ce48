//! Manifests that the project has in Git and not in its folder.

use super::Workspace;
use crate::diagnostic::{Diagnostic, ProblemCode};
use crate::git;
use crate::manifest::{Loaded, is_manifest, places};
use crate::model::Visible;

impl Workspace {
    /// Takes manifests that a sparse checkout leaves out for emptied ones: their credentials are wanted still.
    pub(super) fn hold_left_out(&self, loaded: &mut Loaded) {
        let folder = self.folder.strip_prefix(".").unwrap_or(&self.folder);
        let left_out = match git::left_out(folder, &places(&loaded.project)) {
            Ok(left_out) => left_out,
            Err(why) => {
                let message = format!("cannot check whether Git left out manifests: {why}");
                let problem = Diagnostic::warning(ProblemCode::RepositoryNotChecked, message);
                return loaded.problems.push(problem.help(why.help()));
            }
        };
        for file in left_out {
            let file = folder.join(file);
            if !is_manifest(&self.request(), &loaded.project, &file) {
                continue;
            }
            let message = format!("Git's sparse checkout leaves out `{}`", file.visible());
            let problem = Diagnostic::warning(ProblemCode::NoManifest, message);
            loaded.problems.push(problem.help(
                "`git sparse-checkout add` or `git sparse-checkout disable` brings it back; nothing is deleted until then",
            ));
            loaded.emptied.insert(file);
        }
    }
}
