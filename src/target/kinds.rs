//! The kinds of targets that a project file can name. A new one is a file or folder beside this one,
//! and a line in the list below.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::headers::HeaderContext;
use super::home_assistant::{HomeAssistant, SessionStore};
use super::{
    ChangeEvents, ConnectError, Done, Execute, Observe, Operation, Refusal, Stop, TargetError,
};
use crate::diagnostic::Located;
use crate::field::{Field, FieldRefusal, Raw, SecretText, Text, Texts, described};
use crate::model::{Observed, Reference, RunId, SecretField};
use crate::secret::SecretResolver;

/// How messages call what the [`TargetKind::Input`] of every kind describes; it is the name of that type to
/// serde.
pub const TARGET: &str = "a target";

/// What the fields of a target need of the project that they are in. A problem is reported where it is found,
/// and the answer is `None`.
pub trait FieldContext: HeaderContext {
    /// A secret, in plain text only where the project allows that.
    fn secret(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>>;

    /// A value that may be a secret, or in plain text.
    fn reference(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>>;

    /// A path, from the folder of the project file.
    fn path(&self, field: Field<Text<String>>) -> Option<Located<PathBuf>>;

    /// The path that a text is, at this place.
    fn resolved(&self, text: &str, site: usize) -> Option<PathBuf>;

    /// The text at this place, where it is one in plain text.
    fn plain_text(&self, site: usize) -> Option<&str>;

    /// The folder of the project file.
    fn folder(&self) -> &Path;

    /// Reports why the value of a field is refused.
    fn refuse(&self, site: usize, why: FieldRefusal);
}

/// What a text means.
pub fn meaning<T>(field: Field<Text<T>>, context: &dyn FieldContext) -> Option<T> {
    field.value?.0.map_err(|why| context.refuse(field.site, why)).ok()
}

/// What the texts of a list mean.
pub fn meanings<T>(list: Texts<T>, context: &dyn FieldContext) -> Option<Vec<T>> {
    let meanings: Vec<_> = list.value?.into_iter().map(|item| meaning(item, context)).collect();
    meanings.into_iter().collect()
}

/// What reads the fields of a target of any kind.
pub trait ReadTarget {
    /// Reads them; every problem of theirs is reported.
    fn read<K: TargetKind>(&self) -> Option<K>;
}

/// A kind of target, and how one of it is reached. A plain value: nothing is read or run before
/// [`TargetKind::connect`], and a target with another value is connected to again.
pub trait TargetKind: Sized {
    /// The field that selects this kind.
    const FIELD: &'static str;
    /// What one is, as in "`url` is a running Home Assistant".
    const ABOUT: &'static str;
    /// Its fields, with their documentation: they are read from this type, and so is the schema.
    type Input: DeserializeOwned + JsonSchema;
    /// What is connected to.
    type Target: LiveTarget;

    /// The target that the fields describe; every problem of theirs is reported.
    fn new(input: Self::Input, context: &dyn FieldContext) -> Option<Self>;

    /// Its address or folder, as a person knows it.
    fn address(&self) -> String;

    /// One name for one place, however it is written: two targets at one place are one target.
    fn place(&self) -> String;

    /// The values of its fields that are secret, or may be.
    fn secrets(&self) -> Vec<(SecretField, &Located<Reference>)> {
        Vec::new()
    }

    /// The file that it keeps secrets in, in plain text.
    fn plain_file(&self) -> Option<PathBuf> {
        None
    }

    /// The files that hold a secret of it and nothing else, with what that is.
    fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        Vec::new()
    }

    /// Whether connecting may ask a person for something, as a program for a token may.
    fn may_ask(&self) -> bool {
        false
    }

    /// Every file that connecting reads or runs: where one changes, the connection is another one.
    fn files(&self, _: &SecretResolver, _: Option<&SessionStore>) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What is wrong with the files that connecting reads, where each is named, as far as they can be read
    /// without asking anybody.
    fn file_faults(&self, _: &SecretResolver) -> Vec<Located<String>> {
        Vec::new()
    }

    /// Connects to the target.
    ///
    /// # Errors
    /// Where there is no token, nobody answers, or the token is not accepted.
    fn connect(
        &self,
        resolver: &Arc<SecretResolver>,
        sessions: Option<&SessionStore>,
    ) -> impl Future<Output = Result<Self::Target, ConnectError>> + Send;
}

/// A target that is connected. What it cannot do it need not mention.
pub trait LiveTarget: Observe + Execute {
    /// Waits until the connection has ended.
    fn ended(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// From now on, that something may have changed; none where the target does not report it.
    ///
    /// # Errors
    /// Where the target does not answer.
    fn changes(&self) -> impl Future<Output = Result<Option<ChangeEvents>, TargetError>> + Send {
        std::future::ready(Ok(None))
    }

    /// The running Home Assistant, which alone has set-ups and notifications.
    fn home_assistant(&self) -> Option<&HomeAssistant> {
        None
    }

    /// What no other Home Assistant has, whatever the address or path; none where that is not known.
    fn run_id(&self) -> impl Future<Output = Option<RunId>> + Send {
        std::future::ready(None)
    }

    /// From now on browsers come back there after consent.
    fn come_back_to(&mut self, _base: String) {}
}

/// What the project file may say of targets of one kind.
pub struct Description {
    /// The field that selects the kind.
    pub field: &'static str,
    /// What one is.
    pub about: &'static str,
    /// The names of its fields.
    pub fields: fn() -> &'static [&'static str],
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $(#[cfg($condition:meta)])? $name:ident($kind:ty),)+) => {
        /// Where a target is and how it is reached.
        #[expect(clippy::large_enum_variant, reason = "a project has few of them")]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Endpoint {
            $($(#[doc = $doc])+ $(#[cfg($condition)])? $name($kind),)+
        }

        /// A target that is connected.
        pub enum Target {
            $($(#[doc = $doc])+ $(#[cfg($condition)])?
            $name(Box<<$kind as TargetKind>::Target>),)+
        }

        /// A place that holds credentials: a running Home Assistant, or the folder of one that does
        /// not run.
        #[expect(clippy::large_enum_variant, reason = "only its schema is used")]
        #[derive(JsonSchema)]
        #[schemars(untagged)]
        pub enum TargetInput {
            $($(#[doc = $doc])+ $(#[cfg($condition)])? $name(<$kind as TargetKind>::Input),)+
        }

        /// All kinds.
        pub const KINDS: &[Description] = &[$($(#[cfg($condition)])? Description {
            field: <$kind as TargetKind>::FIELD,
            about: <$kind as TargetKind>::ABOUT,
            fields: || {
                described::<<$kind as TargetKind>::Input>().map_or(&[], |(_, fields)| fields)
            },
        },)+];

        impl Endpoint {
            /// Reads a target of the kind with this field.
            pub fn read(kind: &Description, fields: &impl ReadTarget) -> Option<Self> {
                $($(#[cfg($condition)])? if kind.field == <$kind as TargetKind>::FIELD {
                    return fields.read::<$kind>().map(Self::$name);
                })+
                None
            }

            /// Its address or folder, as a person knows it.
            pub fn address(&self) -> String {
                match self { $($(#[cfg($condition)])? Self::$name(kind) => kind.address(),)+ }
            }

            /// One name for one place, however it is written.
            pub fn place(&self) -> String {
                match self { $($(#[cfg($condition)])? Self::$name(kind) => kind.place(),)+ }
            }

            /// The values of its fields that are secret, or may be.
            pub fn secrets(&self) -> Vec<(SecretField, &Located<Reference>)> {
                match self { $($(#[cfg($condition)])? Self::$name(kind) => kind.secrets(),)+ }
            }

            /// The file that it keeps secrets in, in plain text.
            pub fn plain_file(&self) -> Option<PathBuf> {
                match self { $($(#[cfg($condition)])? Self::$name(kind) => kind.plain_file(),)+ }
            }

            /// The files that hold a secret of it and nothing else, with what that is.
            pub fn secret_files(&self) -> Vec<(&'static str, &Path)> {
                match self { $($(#[cfg($condition)])? Self::$name(kind) => kind.secret_files(),)+ }
            }

            /// Whether connecting may ask a person for something.
            pub fn may_ask(&self) -> bool {
                match self { $($(#[cfg($condition)])? Self::$name(kind) => kind.may_ask(),)+ }
            }

            /// Every file that connecting reads or runs.
            pub fn files(
                &self,
                resolver: &SecretResolver,
                sessions: Option<&SessionStore>,
            ) -> Vec<PathBuf> {
                match self {
                    $($(#[cfg($condition)])? Self::$name(kind) => kind.files(resolver, sessions),)+
                }
            }

            /// What is wrong with the files that connecting reads, where each is named.
            pub fn file_faults(&self, resolver: &SecretResolver) -> Vec<Located<String>> {
                match self {
                    $($(#[cfg($condition)])? Self::$name(kind) => kind.file_faults(resolver),)+
                }
            }

            /// Connects to the target.
            ///
            /// # Errors
            /// Where there is no token, nobody answers, or the token is not accepted.
            pub async fn connect(
                &self,
                resolver: &Arc<SecretResolver>,
                sessions: Option<&SessionStore>,
            ) -> Result<Target, ConnectError> {
                Ok(match self {
                    $($(#[cfg($condition)])? Self::$name(kind) => {
                        Target::$name(Box::new(kind.connect(resolver, sessions).await?))
                    })+
                })
            }
        }

        impl Observe for Target {
            async fn observe(&mut self) -> Result<Observed, TargetError> {
                match self { $($(#[cfg($condition)])? Self::$name(target) => target.observe().await,)+ }
            }
        }

        impl Execute for Target {
            async fn execute(
                &mut self,
                operations: Vec<Operation>,
                stop: &Stop,
                done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
            ) {
                match self {
                    $($(#[cfg($condition)])? Self::$name(target) => {
                        target.execute(operations, stop, done).await;
                    })+
                }
            }
        }

        impl LiveTarget for Target {
            async fn ended(&self) {
                match self { $($(#[cfg($condition)])? Self::$name(target) => target.ended().await,)+ }
            }

            async fn changes(&self) -> Result<Option<ChangeEvents>, TargetError> {
                match self { $($(#[cfg($condition)])? Self::$name(target) => target.changes().await,)+ }
            }

            async fn run_id(&self) -> Option<RunId> {
                match self { $($(#[cfg($condition)])? Self::$name(target) => target.run_id().await,)+ }
            }

            fn home_assistant(&self) -> Option<&HomeAssistant> {
                match self { $($(#[cfg($condition)])? Self::$name(target) => target.home_assistant(),)+ }
            }

            fn come_back_to(&mut self, base: String) {
                match self {
                    $($(#[cfg($condition)])? Self::$name(target) => target.come_back_to(base),)+
                }
            }
        }
    };
}

kinds! {
    /// A running Home Assistant.
    HomeAssistant(super::home_assistant::HomeAssistantEndpoint),
    /// The configuration folder of a Home Assistant that does not run.
    ConfigDir(super::config_dir::ConfigDirEndpoint),
    /// A target in memory, for tests.
    #[cfg(test)]
    Memory(super::memory::MemoryEndpoint),
}
