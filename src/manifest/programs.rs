//! What a project that was fetched may not do: start programs, and have folders of Home Assistant in it.

use std::path::Path;

use super::Project;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Spot};
use crate::files::{TEXT_LIMIT, read};
use crate::model::Visible;
use crate::target::Endpoint;
use crate::target::config_dir::ConfigDirEndpoint;

const HELP: &str = "whoever may change the project could run any program on this machine; if they may, pass --git-allow-programs for a Git repository, and else keep what the program prints encrypted in the project";

/// The prefix of an identity of an age plugin.
const PLUGIN: &[u8] = b"AGE-PLUGIN-";

impl Project {
    /// Removes all programs that the project names, and reports each.
    pub fn refuse_programs(&mut self) -> Diagnostics {
        let mut problems = Diagnostics::default();
        self.sources.clear();
        self.sops_program = None;
        self.lacks_programs = true;
        self.age.identities.retain(|file| {
            let is_plugin = |text: &[u8]| text.windows(PLUGIN.len()).any(|part| part == PLUGIN);
            // One that cannot be read, or that is encrypted, is reported by who reads it.
            let starts_plugin = read(file, TEXT_LIMIT).is_ok_and(|text| is_plugin(&text));
            if starts_plugin {
                let message = format!(
                    "the identities in {} are for a plugin of age, which is a program, and a project that was fetched may start none here",
                    file.visible()
                );
                problems.push(Diagnostic::error(ProblemCode::ProgramNotAllowed, message).help(HELP));
            }
            !starts_plugin
        });
        // Of the fields of a target, that of a program alone may ask a person.
        let names: Vec<_> = self.targets.keys().cloned().collect();
        for name in names {
            if self.targets.get(&name).is_some_and(|target| target.may_ask()) {
                self.targets.remove(&name);
                self.program_spots.extend(self.target_spots.get(&name).cloned());
            }
        }
        for Spot { file, span } in std::mem::take(&mut self.program_spots) {
            let message =
                "this names a program, and a project that was fetched may start none here";
            let problem = Diagnostic::error(ProblemCode::ProgramNotAllowed, message);
            problems.push(problem.at(&file, span).help(HELP));
        }
        problems
    }

    /// Reports the configuration folders that are in a project which was fetched: what is written there is gone with
    /// its next change.
    pub fn refuse_folders_in(&self, root: &Path) -> Diagnostics {
        let mut problems = Diagnostics::default();
        for (name, target) in &self.targets {
            let Endpoint::ConfigDir(ConfigDirEndpoint(folder)) = target else { continue };
            if !folder.starts_with(root) {
                continue;
            }
            let message = format!(
                "`config_dir` of the target `{name}` is in the project that was fetched, whose folder is another one with each change"
            );
            let problem = Diagnostic::error(ProblemCode::UnfitField, message);
            let problem =
                problem.help("write the whole path of the folder, as in `/srv/ha/config`");
            problems.push(match self.target_spots.get(name) {
                Some(spot) => problem.at(&spot.file, spot.span),
                None => problem,
            });
        }
        problems
    }
}
