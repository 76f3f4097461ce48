//! The nouns, without behaviour that could fail. Everything may use them; they use nothing of ours.

mod credential;
mod credential_id;
mod desired;
mod flow;
mod integration;
mod known_secret;
mod link;
mod mark;
mod oauth_text;
mod observed;
mod place;
mod policy;
mod reference;
mod secret;
mod secret_field;
pub mod sops;
mod text;
mod visible;

pub use credential::{Credential, Held, NewCredential};
pub use credential_id::{generate_id, is_id_of_client};
pub use desired::{Completeness, Desired, DesiredCredential, Unidentified};
pub use flow::{
    CreatedAccount, DeviceCode, FieldKind, FlowField, FlowForm, FlowStep, HandOverError, OpenFlow,
    Purpose,
};
pub use integration::{Answers, Implementation, Integration, OnDelete};
pub use known_secret::{KnownSecret, Seal, SealedClients, Seals, SecretComparison};
pub use link::{ConsentLink, HiddenLink, Links, is_loopback, web_page};
pub use mark::{Claim, Key, Mark, Owner};
pub use oauth_text::{hidden_character, unfit_for_oauth};
pub use observed::{ConfigEntry, EntryState, KnownDomains, Live, Observed};
pub use place::Place;
pub use policy::{MaxDeletes, OnDrift, Policy, PolicyOverrides, Prune};
pub use reference::Reference;
pub use secret::Secret;
pub use secret_field::{
    CLIENT_ID, CLIENT_SECRET, PlainText, SECRET_FIELDS, SecretField, TOKEN, WEBHOOK,
};
pub use text::{ClientId, CredentialId, Domain, EntryId, FileName, FlowId, TargetName};
pub use visible::{Visible, hidden, is_hidden, to_json, visible_json, visible_lines};
