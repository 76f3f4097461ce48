//! What would bring about what a plan does not do.

use crate::model::Slip;

use super::withheld::Why;

impl Why {
    /// What would change that.
    #[expect(clippy::too_many_lines, reason = "a table: a text for each reason")]
    pub fn help(&self) -> &'static str {
        match self {
            Self::InUse { .. } => {
                "have an entry declare it for this target, or remove the integration first: in Home Assistant, or with --remove-integrations while that runs"
            }
            Self::MayBeCloud { .. } => {
                "remove the integration in Home Assistant if it may go: the credential is deleted by the next run"
            }
            Self::UnreadAccounts { .. } => {
                "restore `.storage/core.config_entries` from a backup, or remove that entry; where Home Assistant has no accounts, write `{\"version\": 1, \"data\": {\"entries\": []}}` there"
            }
            Self::Foreign { asked: Some(_), .. } => {
                "correct the id under `adopt`, or write `adopt: true` to take this one over"
            }
            Self::Foreign { .. } => "`adopt: true` in the entry, or --adopt, takes it over",
            Self::SeveralByHand { .. } => {
                "`adopt` with the id of one of them takes that over; the others stay as they are"
            }
            Self::SeveralRenamed { .. } => {
                "`formerly` in the entry says which it had; what belongs to the other is deleted then"
            }
            Self::ReusedName { .. } => {
                "if the entry with that client was renamed, give the other one, which has its old name, a `key` of its own; if the account is to get another client, write the present key as `key`"
            }
            Self::ReusedKey { .. } => {
                "if the account is not this entry's, give the entry another `key`, and remove the one that the account was linked under from its `formerly`, where `appcred rename` writes it; if the account is to get this client, write the former key as `key`, and list the key that it was linked under in `formerly`"
            }
            Self::UnreadableMark { .. } => {
                "it is left alone; delete it in Home Assistant if nobody needs it"
            }
            Self::Disputed { .. } => {
                "remove the entry from all projects but one and apply that; or, if the owner was renamed, name the old one under `previous_owners`"
            }
            Self::OtherEntry { .. } => {
                "give this entry another `key`; or remove those accounts in Home Assistant, and link them anew after the next run"
            }
            Self::OtherOwner { .. } => {
                "only one project can manage it: remove the entry from one of them and apply that; or, if the owner was renamed, name the old one under `previous_owners`"
            }
            Self::OwnerDiffers { .. } => {
                "if another project made it, give this entry another `key`"
            }
            Self::PreviousOwner { .. } => {
                "if it is this entry's, apply with its former `client_id` and secret first, and then with the new ones; if it is another project's, give this entry another `key`"
            }
            Self::SeveralEntries { .. } => {
                "`adopt` with that id in one of these entries says whose it is"
            }
            Self::NotOwned => {
                "nothing was touched; report this with the output of `appcred snapshot`, which holds no secrets"
            }
            Self::Emptied { .. } => {
                "put it back, or write `application_credentials: []` where nothing is wanted"
            }
            Self::Protected { .. } => {
                "if it is meant, pass --allow-protected with each such key, or end the protection: `protect` in the entry, or under `policy` in appcred.yaml"
            }
            Self::Suspended => "remove `suspend: true` from the entry, and it is done",
            Self::OutsideWindows { .. } => "`appcred apply` does it now",
            Self::EarlierWave { .. } => {
                "it goes on when those waves are done; `appcred apply --target` with this target does it now"
            }
            Self::PruneOff => "--prune managed deletes it",
            Self::TooManyDeletes { .. } => {
                "if they are meant, raise `max_deletes` or pass --max-deletes"
            }
            Self::NothingDesired => "if everything is meant to go, pass --allow-empty",
            Self::LostBySlip { slip: Slip::NotRead { .. }, .. } => {
                "put the entry back into a manifest; if this is meant to go, remove that file or add `.disabled` to its name, or pass --allow-empty"
            }
            Self::LostBySlip { .. } => {
                "if the target's name or label is mistyped, correct it in appcred.yaml; if this is meant to go, pass --allow-empty"
            }
            Self::Unread => "fix the errors in the manifests first",
            Self::Unidentified { .. } => {
                "a run that can read it decides; so does a snapshot that is taken after the entry is applied, or a client id in plain text"
            }
            Self::NeedsCloud => {
                "add `cloud:` or `default_config:` to configuration.yaml and restart Home Assistant; no login to the cloud is needed"
            }
            Self::IgnoresClient => {
                "remove the entry, and add the integration in Home Assistant: it needs no credential"
            }
            Self::SeveralAccounts { .. } => {
                "give each of them a title of its own in Home Assistant: it must be the name that the entry has for it"
            }
            Self::OneAccount => "keep one name under `accounts`",
            Self::UnknownIntegration { is_listed: true, .. } => {
                "update Home Assistant if a newer release has it, install it if it is a custom one, or correct `domain`; or remove the entry"
            }
            Self::UnknownIntegration { is_listed: false, .. } => {
                "only integrations that use application credentials have entries: list a custom one under `custom_integrations` in appcred.yaml"
            }
            Self::NotSelected { .. } => "select that as well with --key or --domain",
        }
    }
}
