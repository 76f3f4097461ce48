//! Where a configuration folder is, as the project file says it.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CREDENTIALS, ConfigDir, STORAGE};
use crate::field::{Field, Pairs, Text};
use crate::files::{self, Stamp};
use crate::model::{Key, RunId, Visible};
use crate::secret::SecretResolver;
use crate::target::home_assistant::SessionStore;
use crate::target::{ConnectError, FieldContext, LiveTarget, TargetKind};

/// The configuration folder of a HA that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDirEndpoint(pub PathBuf);

/// The configuration folder of a Home Assistant that does not run.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a target", deny_unknown_fields)]
#[schemars(rename = "ConfigDirInput")]
pub struct ConfigDirInput {
    /// The folder, as in `/srv/homeassistant`, which holds `.storage` once Home Assistant has been started.
    config_dir: Field<Text<String>>,
    /// Whether nothing is changed there for now: it is not even connected to. Default: `false`.
    #[expect(dead_code, reason = "the manifest reads it for targets of all kinds")]
    suspend: Option<Field<bool>>,
    /// Names with a value each, by which entries and `--selector` choose targets, as in `{site: oslo, ring: "1"}`.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,100}$" }))]
    #[expect(dead_code, reason = "the manifest reads it for targets of all kinds")]
    labels: Option<Field<Pairs<Text<Key>>>>,
}

impl TargetKind for ConfigDirEndpoint {
    const FIELD: &'static str = "config_dir";
    const ABOUT: &'static str = "the folder of one that does not run";
    type Input = ConfigDirInput;
    type Target = ConfigDir;

    fn new(input: ConfigDirInput, context: &dyn FieldContext) -> Option<Self> {
        context.path(input.config_dir).map(|folder| Self(folder.value))
    }

    fn address(&self) -> String {
        self.0.visible().into_owned()
    }

    fn place(&self) -> String {
        files::real_path(&self.0).unwrap_or_else(|_| self.0.clone()).to_string_lossy().into_owned()
    }

    fn plain_file(&self) -> Option<PathBuf> {
        Some(self.0.join(STORAGE).join(CREDENTIALS))
    }

    async fn connect(
        &self,
        _: &Arc<SecretResolver>,
        _: Option<&SessionStore>,
    ) -> Result<ConfigDir, ConnectError> {
        Ok(ConfigDir::new(self.0.clone()))
    }
}

impl LiveTarget for ConfigDir {
    /// A folder may have several paths, as where it is mounted twice.
    async fn run_id(&self) -> Option<RunId> {
        let (device, inode) = Stamp::of(&self.folder.join(STORAGE))?.identity();
        RunId::new([format!("folder {device}:{inode}").into()])
    }
}
