//! `schema`

use clap::ValueEnum;

#[cfg(feature = "kubernetes")]
use crate::kubernetes;
use crate::manifest::schema as files;
use crate::model::to_json;
use crate::plan_file;
use crate::report::schema as reports;
use crate::target::snapshot;
use crate::watch;

use super::console;
use super::exit::ExitStatus;

/// Print the JSON Schema of a file or report
///
/// An editor with yaml-language-server checks a manifest by it, and shows each field's description,
/// when the manifest's first line is `# yaml-language-server: $schema=PATH-OR-URL`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred schema manifest > manifest.schema.json
  appcred schema plan")]
pub(super) struct SchemaArgs {
    /// Which schema
    #[arg(value_name = "KIND")]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// Manifests
    Manifest,
    /// The project file, appcred.yaml
    Project,
    /// What `plan` and `apply` print as JSON
    Plan,
    /// What `list` prints as JSON
    List,
    /// What `validate` prints as JSON
    Validate,
    /// What `verify` prints as JSON
    Verify,
    /// What `doctor` prints as JSON
    Doctor,
    /// What `add`, `rm`, `encrypt`, `login` and all else that changes something print as JSON
    Changes,
    /// What `version` prints as JSON
    Version,
    /// What `snapshot` writes
    Snapshot,
    /// What `plan --out` saves
    SavedPlan,
    /// What `watch` serves at /api/v1/status
    Status,
    /// What `watch` answers at /api/v1/reconcile
    Reconcile,
    /// What `watch` posts to webhooks
    Notice,
    /// The custom resources of `controller`, as YAML for `kubectl apply`
    #[cfg(feature = "kubernetes")]
    Crd,
}

pub(super) fn run(verb: &SchemaArgs) -> anyhow::Result<ExitStatus> {
    let schema = match verb.of {
        Of::Manifest => files::manifest(),
        Of::Project => files::project(),
        Of::Plan => reports::plan(),
        Of::List => reports::list(),
        Of::Validate => reports::validate(),
        Of::Verify => reports::verify(),
        Of::Changes => reports::changes(),
        Of::Doctor => reports::doctor(),
        Of::Version => reports::version(),
        Of::Snapshot => snapshot::schema(),
        Of::SavedPlan => plan_file::schema(),
        Of::Status => reports::status(),
        Of::Reconcile => reports::reconcile(),
        Of::Notice => watch::notice_schema(),
        #[cfg(feature = "kubernetes")]
        Of::Crd => {
            console::print(&kubernetes::definitions()?)?;
            return Ok(ExitStatus::Success);
        }
    };
    console::print(&to_json(&schema)?)?;
    Ok(ExitStatus::Success)
}
