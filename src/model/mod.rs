//! The nouns, without behaviour that could fail. Everything may use them; they use nothing of ours.

mod account;
mod client_answer;
mod commit;
mod credential;
mod credential_id;
mod desired;
mod document;
mod exposed;
mod flow;
mod holds_secret;
mod integration;
mod known_secret;
mod label;
mod lifetime;
mod link;
mod mark;
mod merge_conflict;
mod name;
mod no_secret;
mod notify_action;
mod observed;
mod path_fault;
mod place;
mod placeholder;
mod placeholders;
mod policy;
mod redirect;
mod reference;
mod rollout;
mod run_id;
mod secret;
mod secret_field;
mod selection;
mod slip;
pub mod sops;
mod text;
mod value_fault;
mod value_rule;
mod visible;
mod webhook_method;
mod window;
mod words;

/// The name of the project file.
pub const PROJECT_FILE: &str = "appcred.yaml";
/// How an armored age file begins.
pub const AGE_HEADER: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

pub use account::{AccountName, NotedAccount, SetUpId, SetUpOf};
pub use client_answer::ClientAnswer;
pub use commit::Commit;
pub use credential::{Credential, Held, NewCredential};
pub use credential_id::{
    LowestNumbers, first_id, first_ids, generate_id, is_alike, is_id_of_client,
};
pub use desired::{Adopt, Completeness, Desired, DesiredCredential, Unidentified};
pub use document::{Document, encrypted_file, named_in_file, of_other_names};
pub use exposed::{
    is_no_name, is_secret_answer, is_secret_number, password_of_url, secret_argument,
};
pub use flow::{
    DeviceCode, FieldKind, FlowAbort, FlowField, FlowForm, FlowStep, HandOverError, OpenFlow,
    Purpose,
};
pub use holds_secret::{NAME_WITH_SECRET, SHORTEST_SECRET, holds_secret, name_to_show};
pub use integration::{Answers, Implementation, Integration, OnDelete};
pub use known_secret::{KnownSecret, Seal, SealedClients, Seals, SecretComparison};
pub use label::{LabelSelector, Labels, TargetSelection, UnmetLabel};
pub use lifetime::{Due, Lifetime, begin_of, day};
pub use link::{
    ConsentLink, HiddenLink, Links, has_zone, is_loopback, is_of_this_machine, is_web, web_page,
};
pub use mark::{Claim, Key, Mark, Owner};
pub(crate) use merge_conflict::{
    MARKS, MERGE_CONFLICT_HELP, conflict_marker, conflict_marker_of, has_merge_conflict,
    marker_lengths,
};
pub use name::{FieldName, Named, is_name, may_be_token, named, without_number};
pub use no_secret::{ClientPart, is_client_secret, is_name_for};
pub use notify_action::NotifyAction;
pub use observed::{
    ConfigEntry, EntryState, KnownDomains, Live, NoSetUp, Observed, UnreadAccounts,
};
pub use path_fault::PathFault;
pub use place::Place;
pub use placeholder::{Placeholder, UNFILLED, is_template};
pub use placeholders::{NOTICE_FIELDS, fill_in};
pub use policy::{MaxDeletes, OnDrift, Policy, PolicyOverrides, Prune};
pub use redirect::{CALLBACK_PATH, MY_REDIRECT_URI};
pub use reference::{Reference, is_variable_name};
pub use rollout::{Rollout, TargetProgress, UndoneWave, Wave, WhyUndone};
pub use run_id::RunId;
pub use secret::Secret;
pub use secret_field::{
    CLIENT_ID, CLIENT_KEY, CLIENT_SECRET, HEADERS, PROXY, PlainText, SECRET_FIELDS, SecretField,
    TOKEN, WEBHOOK, WEBHOOK_HEADERS,
};
pub use selection::{Glob, Selection};
pub use slip::Slip;
pub use text::{
    ClientId, CredentialId, Domain, EntryId, FileName, FlowId, TargetName, counted, hex,
};
pub use value_fault::{ValueFault, client_fault, header_fault, hidden_character, value_fault};
pub use visible::{
    Visible, hidden, is_hidden, to_json, visible_json, visible_lines, without_values,
};
pub use webhook_method::WebhookMethod;
pub use window::{Window, Windows};
