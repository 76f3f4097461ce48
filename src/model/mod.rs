//! The nouns, without behaviour that could fail. Everything may use them; they use nothing of ours.

mod credential;
mod desired;
mod flow;
mod integration;
mod known_secret;
mod link;
mod mark;
mod observed;
mod place;
mod policy;
mod reference;
mod secret;
pub mod sops;
mod text;

pub use credential::{Credential, Held, NewCredential};
pub use desired::{Completeness, Desired, DesiredCredential, Unidentified};
pub use flow::{DeviceCode, Field, FieldKind, FlowStep, Form, Linked, OpenFlow, Purpose};
pub use integration::{Answers, Implementation, Integration, OnDelete};
pub use known_secret::{KnownSecret, Seal, SealedClients, Seals, SecretComparison};
pub use link::{ConsentLink, HiddenLink, Links, web_page};
pub use mark::{Key, Mark, Owner};
pub use observed::{ConfigEntry, EntryState, KnownDomains, Live, Observed};
pub use place::Place;
pub use policy::{MaxDeletes, OnDrift, Policy, Prune};
pub use reference::Reference;
pub use secret::Secret;
pub use text::{ClientId, CredentialId, Domain, EntryId, FlowId, TargetName};
